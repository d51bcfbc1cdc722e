this must not be taken
