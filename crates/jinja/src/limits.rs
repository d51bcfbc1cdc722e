//! What a template may take: it is written by others.

/// How many bytes the source of a template may have. The longest that are published have 60,000.
pub const TEMPLATE_BYTES_MAX: usize = 1 << 20;

/// What one rendering may take. What goes beyond is [`ErrorKind::Limit`](crate::ErrorKind::Limit), and depends on nothing but the template and
/// what it is rendered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderLimits {
    /// Steps: an expression, an item, or 64 bytes that are looked at are one.
    pub steps: u64,
    /// Bytes of what it makes on the way: texts, lists, what macros print. What is being made takes a few times as much for
    /// a moment.
    pub memory: usize,
    /// Bytes of output, and of any one text.
    pub output: usize,
}

impl Default for RenderLimits {
    fn default() -> Self {
        Self { steps: 20_000_000, memory: 256 << 20, output: 64 << 20 }
    }
}

impl RenderLimits {
    /// The limits of texts of so many bytes: they are not lower than the usual ones.
    #[must_use]
    pub fn for_texts_of(bytes: usize) -> Self {
        let usual = Self::default();
        let output = usual.output.max(bytes);
        Self { output, memory: usual.memory.max(output.saturating_mul(4)), ..usual }
    }
}

/// How deep expressions, statements and calls may be nested while they run.
pub(crate) const DEPTH_MAX: u32 = 400;
