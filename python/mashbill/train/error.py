"""What goes wrong in a way that the person at the keyboard can set right."""


class TrainError(Exception):
    """An error with a hint of what to do; `code` is the command's exit code (2 usage, 3 run it again). An error that
    another process has told is `told`."""

    def __init__(self, message: str, hint: str, code: int = 2, told: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code
        self.told = told


def without_hint(error: Exception) -> str:
    """What an error of the loader says; its hint, on a line of its own, is for those who write Python."""
    return str(error).partition("\nhint: ")[0]
