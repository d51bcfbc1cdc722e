//! How far a run is: a bar on a terminal, a line every few seconds elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use mashbill_format::figures::{count, duration, size};
use mashbill_tokenize::Progress;

use crate::printer::Printer;
use crate::shown::Shown;

/// Where there is no terminal, a line is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A view of a run's progress.
#[derive(Debug)]
pub(crate) struct ProgressView<'a> {
    printer: &'a Printer,
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Instant,
}

impl<'a> ProgressView<'a> {
    /// A view that is empty until the first progress is shown.
    pub(crate) fn new(printer: &'a Printer) -> Self {
        let bar = printer.has_bars().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
            let style = "{bar:24} {percent:>3}%  {done}  {msg}";
            bar.with_style(ProgressStyle::with_template(style).expect("a constant template").with_key(
                "done",
                |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                    let (done, all) = (size(state.pos()), size(state.len().unwrap_or(0)));
                    let _ = write!(text, "{done} of {all}");
                },
            ))
        });
        let now = Instant::now();
        Self { printer, bar, started: now, last_line: now }
    }

    /// Shows how far the run is.
    pub(crate) fn show(&mut self, progress: &Progress) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.show_bytes(progress.bytes, progress.bytes_total, message(progress, seconds));
    }

    /// Shows that `bytes` of `total` are done.
    pub(crate) fn show_bytes(&mut self, bytes: u64, total: u64, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(bytes);
            bar.set_message(Shown(message).to_string());
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let percent = 100 * bytes / total.max(1);
            let (done, all) = (size(bytes), size(total));
            self.printer.line(format_args!("{percent:>3}%  {done} of {all}  {message}"));
        }
    }

    /// Prints through `print`, above the bar where there is one.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn message(progress: &Progress, seconds: f64) -> String {
    if seconds < 0.2 || progress.bytes == 0 {
        return String::new();
    }
    let bytes_per_second = progress.bytes as f64 / seconds;
    let tokens_per_second = (progress.tokens as f64 / seconds) as u64;
    let left = progress.bytes_total.saturating_sub(progress.bytes) as f64 / bytes_per_second;
    let mut message = format!(
        "{:.1} MB/s  {} tokens/s  {} left",
        bytes_per_second / 1e6,
        count(tokens_per_second),
        duration(left)
    );
    if progress.rejected > 0 {
        message.push_str(&format!("  {} refused", count(progress.rejected)));
    }
    message
}
