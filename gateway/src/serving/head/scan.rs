//! Finds the end of a head in the received bytes, looking at each byte once.

use super::HeadError;

/// Position of the search for the end of the head.
#[derive(Debug, Default)]
pub(crate) struct HeadScanner {
    looked_at: usize,
    line_start: usize,
}

impl HeadScanner {
    /// The length of the head, if `buffer` contains all of it. `buffer` must only grow between
    /// calls.
    pub(crate) fn find_end(
        &mut self,
        buffer: &[u8],
        max: usize,
    ) -> Result<Option<usize>, HeadError> {
        while let Some(new) = buffer.get(self.looked_at..)
            && let Some(offset) = new.iter().position(|byte| matches!(byte, b'\n' | b'\0'))
        {
            let at = self.looked_at.saturating_add(offset);
            let behind = at.saturating_add(1);
            let line = buffer.get(self.line_start..at).unwrap_or_default();
            // RFC 9112 section 2.2 allows a bare LF as a line ending, which parsers handle
            // differently.
            let Some((b'\r', line)) = line.split_last() else { return Err(HeadError::Line) };
            if line.contains(&b'\r') || buffer.get(at) != Some(&b'\n') {
                return Err(HeadError::Line);
            }
            self.looked_at = behind;
            if line.is_empty() {
                return if at < max { Ok(Some(behind)) } else { Err(HeadError::TooLarge) };
            }
            self.line_start = behind;
        }
        self.looked_at = buffer.len();
        if buffer.len() >= max { Err(HeadError::TooLarge) } else { Ok(None) }
    }
}
