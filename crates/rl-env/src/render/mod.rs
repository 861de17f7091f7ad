//! Pictures of environments.

#[cfg(feature = "render")]
mod canvas;
#[cfg(feature = "render")]
pub(crate) mod scenes;

/// An RGB picture, row-major from the top left, three bytes a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `3 · width · height` bytes.
    pub rgb: Vec<u8>,
}
