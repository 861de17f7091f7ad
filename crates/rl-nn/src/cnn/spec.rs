//! What a convolutional network is, apart from its parameters.

use serde::{Deserialize, Serialize};

use crate::{Activation, NnError};

/// A convolution without padding, followed by the network's activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convolution {
    /// Channels of its output.
    pub channels: usize,
    /// Height and width of its kernel.
    pub kernel: usize,
    /// Pixels from one place of the kernel to the next.
    pub stride: usize,
}

/// Convolutions and a linear layer, [`Cnn`](crate::Cnn).
///
/// ```
/// use rl_nn::{Cnn, CnnSpec, Network};
///
/// let spec = CnnSpec { scale: Some(1.0 / 255.0), ..CnnSpec::nature([4, 84, 84]) };
/// assert_eq!(spec.images()?, [[4, 84, 84], [32, 20, 20], [64, 9, 9], [64, 7, 7]]);
/// assert_eq!(Network::<f32>::n_outputs(&Cnn::new(&spec)?), 512);
/// // A kernel of 8 pixels does not fit into 7.
/// assert!(Cnn::nature([4, 84, 7]).is_err());
/// # Ok::<(), rl_nn::NnError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CnnSpec {
    /// Channels, height and width of an image, whose pixels are the elements of a row in this order.
    pub image: [usize; 3],
    /// The convolutions, one after the other.
    pub convolutions: Vec<Convolution>,
    /// The width of the linear layer that follows them: the outputs.
    pub features: usize,
    /// What follows every layer, the last one included.
    pub activation: Activation,
    /// A factor for every pixel before anything else: 1/255 for images of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
}

/// The most elements that an image may have, at any depth.
const MAX_ELEMENTS: usize = 1 << 28;

impl CnnSpec {
    /// The network for Atari games: 32 channels of 8×8 every 4 pixels, 64 of 4×4 every 2, 64 of 3×3, 512 features, relu. Images have at least 36×36
    /// pixels.
    ///
    /// # Source
    ///
    /// Mnih et al. (2015), "Human-level control through deep reinforcement learning", Methods.
    pub fn nature(image: [usize; 3]) -> Self {
        CnnSpec::relu(image, &[(32, 8, 4), (64, 4, 2), (64, 3, 1)], 512)
    }

    /// A network for images from 5×5 to about 16×16 pixels: 16 and 32 channels of 3×3, 128 features, relu.
    pub fn small(image: [usize; 3]) -> Self {
        CnnSpec::relu(image, &[(16, 3, 1), (32, 3, 1)], 128)
    }

    fn relu(image: [usize; 3], convolutions: &[(usize, usize, usize)], features: usize) -> Self {
        let convolutions = convolutions.iter();
        let convolutions = convolutions
            .map(|&(channels, kernel, stride)| Convolution { channels, kernel, stride })
            .collect();
        CnnSpec { image, convolutions, features, activation: Activation::Relu, scale: None }
    }

    /// Channels, height and width before the first convolution and after each.
    ///
    /// # Errors
    ///
    /// [`NnError::Description`] for no convolution, for a channel, kernel, stride or feature count of 0, a kernel that does not fit into its image,
    /// images of more than 2²⁸ elements, and a scale that is not a positive finite number.
    pub fn images(&self) -> Result<Vec<[usize; 3]>, NnError> {
        let error = |message: String| Err(NnError::Description(format!("CNN: {message}")));
        if self.convolutions.is_empty() || self.features == 0 {
            return error("at least one convolution and one feature are needed".to_owned());
        }
        if let Some(scale) = self.scale.filter(|scale| !(scale.is_finite() && *scale > 0.0)) {
            return error(format!("the scale of pixels is {scale}, expected a positive number"));
        }
        let mut images = vec![self.image];
        let [_, mut height, mut width] = self.image;
        for (l, &Convolution { channels, kernel, stride }) in self.convolutions.iter().enumerate() {
            if channels == 0 || kernel == 0 || stride == 0 {
                return error(format!(
                    "convolution {l} has {channels} channels, kernel {kernel}, stride {stride}"
                ));
            }
            let places = |n: usize| Some(n.checked_sub(kernel)? / stride + 1);
            let (Some(h), Some(w)) = (places(height), places(width)) else {
                let message = format!(
                    "convolution {l} has a kernel of {kernel}x{kernel}, which does not fit into its image of {height}x{width}; the \
                     observation is {:?} (channels, height, width)",
                    self.image,
                );
                return error(message);
            };
            (height, width) = (h, w);
            images.push([channels, height, width]);
        }
        let elements =
            |image: &[usize; 3]| image.iter().fold(1, |product: usize, &n| product.saturating_mul(n));
        match images.iter().find(|image| !(1..=MAX_ELEMENTS).contains(&elements(image))) {
            Some(image) => error(format!("an image of {image:?}, expected from 1 to 2^28 elements")),
            None => Ok(images),
        }
    }

    /// The number of parameters, `usize::MAX` should that be too small.
    pub(crate) fn n_params(&self) -> Result<usize, NnError> {
        let images = self.images()?;
        let layer = |n_out: usize, n_in: usize| n_in.saturating_add(1).saturating_mul(n_out);
        let convolutions = self.convolutions.iter().zip(&images);
        let convolutions = convolutions.map(|(conv, image)| {
            layer(conv.channels, conv.kernel.saturating_mul(conv.kernel).saturating_mul(image[0]))
        });
        let last: usize = images.last().map_or(0, |image| image.iter().product());
        Ok(convolutions.fold(layer(self.features, last), usize::saturating_add))
    }
}
