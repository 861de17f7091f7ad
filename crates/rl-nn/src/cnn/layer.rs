//! One convolution as a product of matrices: patches of the image and the kernels.

use std::ops::Range;

use rl_kernels::vectorize;

use super::spec::Convolution;
use crate::{Layout, Real};

/// Elements of patches that are laid out at once: they stay in the second-level cache until the product with them is done.
const BLOCK: usize = 1 << 15;

/// Where a convolution's parameters lie, and how its images are cut into patches.
///
/// Images lie pixel by pixel (`[height, width, channels]`), so that a row of a patch is contiguous, and so are the outputs, which the product leaves
/// patch by patch.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Channels and width of the input, and all its elements.
    c_in: usize,
    w_in: usize,
    pub(super) n_in: usize,
    pub(super) c_out: usize,
    w_out: usize,
    /// Places of the kernel: pixels of the output.
    pub(super) n_places: usize,
    kernel: usize,
    stride: usize,
    pub(super) weight: Range<usize>,
    pub(super) bias: Range<usize>,
}

impl Layer {
    pub(super) fn new(
        conv: Convolution,
        [c_in, h_in, w_in]: [usize; 3],
        [c_out, h_out, w_out]: [usize; 3],
        name: &str,
        layout: &mut Layout,
    ) -> Self {
        let Convolution { kernel, stride, .. } = conv;
        Layer {
            c_in,
            w_in,
            n_in: c_in * h_in * w_in,
            c_out,
            w_out,
            n_places: h_out * w_out,
            kernel,
            stride,
            weight: layout.push(format!("{name}.weight"), &[c_out, c_in, kernel, kernel]),
            bias: layout.push(format!("{name}.bias"), &[c_out]),
        }
    }

    /// Elements of a patch.
    pub(super) fn patch_len(&self) -> usize {
        self.kernel * self.kernel * self.c_in
    }

    /// Elements of the output of an image.
    pub(super) fn n_out(&self) -> usize {
        self.n_places * self.c_out
    }

    /// The patches of all images of a batch in blocks.
    pub(super) fn blocks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let (n, block) = (rows * self.n_places, (BLOCK / self.patch_len()).max(1));
        (0..n).step_by(block).map(move |start| start..(start + block).min(n))
    }

    /// Elements of the largest block's patches.
    pub(super) fn block_len(&self) -> usize {
        (BLOCK / self.patch_len()).max(1) * self.patch_len()
    }

    /// Where a patch begins, counted over the places of all images.
    fn start(&self, patch: usize) -> usize {
        let (image, place) = (patch / self.n_places, patch % self.n_places);
        let (y, x) = (place / self.w_out, place % self.w_out);
        image * self.n_in + (y * self.w_in + x) * self.stride * self.c_in
    }

    /// Copies patches out of images.
    pub(super) fn gather<F: Real>(&self, images: &[F], block: Range<usize>, patches: &mut [F]) {
        let (segment, line) = (self.kernel * self.c_in, self.w_in * self.c_in);
        for (patch, to) in block.zip(patches.chunks_exact_mut(self.patch_len())) {
            let from = &images[self.start(patch)..];
            for (i, to) in to.chunks_exact_mut(segment).enumerate() {
                let from = &from[i * line..][..segment];
                // A call of the system's copy function would take longer than a few elements.
                if segment < 16 {
                    to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
                } else {
                    to.copy_from_slice(from);
                }
            }
        }
    }

    /// Adds patches to the images that they were taken from: the transpose of [`gather`](Self::gather).
    pub(super) fn scatter<F: Real>(&self, patches: &[F], block: Range<usize>, images: &mut [F]) {
        let (segment, line) = (self.kernel * self.c_in, self.w_in * self.c_in);
        vectorize(
            #[inline(always)]
            || {
                for (patch, from) in block.zip(patches.chunks_exact(self.patch_len())) {
                    let to = &mut images[self.start(patch)..];
                    for (i, from) in from.chunks_exact(segment).enumerate() {
                        let to = &mut to[i * line..][..segment];
                        to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
                    }
                }
            },
        );
    }

    /// The kernels `[c_out, c_in, kernel, kernel]` as rows that lie as patches do, `[c_out, patch_len]`.
    pub(super) fn rows_of_kernels<F: Real>(&self, weight: &[F], rows: &mut [F]) {
        let len = self.patch_len();
        for (kernel, row) in weight.chunks_exact(len).zip(rows.chunks_exact_mut(len)) {
            F::transpose(kernel, self.c_in, self.kernel * self.kernel, row);
        }
    }

    /// The inverse of [`rows_of_kernels`](Self::rows_of_kernels).
    pub(super) fn kernels_of_rows<F: Real>(&self, rows: &[F], weight: &mut [F]) {
        let len = self.patch_len();
        for (row, kernel) in rows.chunks_exact(len).zip(weight.chunks_exact_mut(len)) {
            F::transpose(row, self.kernel * self.kernel, self.c_in, kernel);
        }
    }
}

/// Images from `[channels, pixels]` to `[pixels, channels]`.
pub(super) fn pixels_first<F: Real>(from: &[F], channels: usize, pixels: usize, to: &mut [F]) {
    let len = channels * pixels;
    for (from, to) in from.chunks_exact(len).zip(to.chunks_exact_mut(len)) {
        F::transpose(from, channels, pixels, to);
    }
}

/// Images from `[pixels, channels]` to `[channels, pixels]`.
pub(super) fn channels_first<F: Real>(from: &[F], channels: usize, pixels: usize, to: &mut [F]) {
    pixels_first(from, pixels, channels, to);
}
