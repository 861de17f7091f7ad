//! Pictures as files: PNG for one, GIF for a film.

use rl_env::Frame;

use crate::TrainError;

/// Hundredths of a second that the last picture of an episode stays.
const PAUSE: u16 = 100;

/// A picture as a PNG file.
///
/// ```
/// let frame = rl_env::Frame { width: 2, height: 1, rgb: vec![255, 0, 0, 0, 0, 255] };
/// assert!(rl_train::png(&frame)?.starts_with(b"\x89PNG"));
/// # Ok::<(), rl_train::TrainError>(())
/// ```
///
/// # Errors
///
/// [`TrainError::Picture`] for a frame that has not three bytes a pixel.
pub fn png(frame: &Frame) -> Result<Vec<u8>, TrainError> {
    check(frame)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, frame.width, frame.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&frame.rgb));
    written.map_err(|e| TrainError::Picture(e.to_string()))?;
    Ok(bytes)
}

/// A film in the making, as a GIF that repeats for ever.
///
/// Each picture holds only the rectangle that changed, in its own up to 256 colours.
pub struct Gif {
    encoder: Option<gif::Encoder<Vec<u8>>>,
    /// Hundredths of a second a picture.
    delay: u16,
    last: Option<Frame>,
    /// The part of it that changed, not yet written: it may stay longer.
    pending: Option<gif::Frame<'static>>,
}

impl Gif {
    /// A film of so many pictures a second, from 1 to 50; a GIF counts in hundredths of a second.
    pub fn new(fps: u16) -> Self {
        Gif {
            encoder: None,
            delay: (100.0 / f64::from(fps.clamp(1, 50))).round() as u16,
            last: None,
            pending: None,
        }
    }

    /// Adds a picture; the last one of an episode stays a second longer.
    ///
    /// # Errors
    ///
    /// [`TrainError::Picture`] for a frame of another size than the first, or one that no GIF can hold.
    pub fn push(&mut self, frame: Frame, is_last: bool) -> Result<(), TrainError> {
        check(&frame)?;
        let delay = if is_last { self.delay + PAUSE } else { self.delay };
        let changed = match &self.last {
            Some(last) if (last.width, last.height) != (frame.width, frame.height) => {
                return Err(TrainError::Picture(format!(
                    "a frame of {} x {} pixels follows one of {} x {}",
                    frame.width, frame.height, last.width, last.height
                )));
            }
            Some(last) => changed(last, &frame),
            None => Some((0, 0, frame.width, frame.height)),
        };
        match (changed, &mut self.pending) {
            (None, Some(pending)) => pending.delay = pending.delay.saturating_add(delay),
            (part, _) => {
                self.write_pending(&frame)?;
                let part = part.unwrap_or((0, 0, 1, 1));
                self.pending = Some(gif::Frame { delay, ..cut(&frame, part)? });
            }
        }
        self.last = Some(frame);
        Ok(())
    }

    /// The file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Picture`] when there is no picture.
    pub fn finish(mut self) -> Result<Vec<u8>, TrainError> {
        if let Some(last) = self.last.take() {
            self.write_pending(&last)?;
        }
        let encoder =
            self.encoder.ok_or_else(|| TrainError::Picture("a film without pictures".to_owned()))?;
        encoder.into_inner().map_err(|e| TrainError::Picture(e.to_string()))
    }

    fn write_pending(&mut self, like: &Frame) -> Result<(), TrainError> {
        let Some(pending) = self.pending.take() else {
            return Ok(());
        };
        let failed = |e: gif::EncodingError| TrainError::Picture(e.to_string());
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => {
                let (width, height) = (side(like.width)?, side(like.height)?);
                let mut encoder = gif::Encoder::new(Vec::new(), width, height, &[]).map_err(failed)?;
                encoder.set_repeat(gif::Repeat::Infinite).map_err(failed)?;
                none.insert(encoder)
            }
        };
        encoder.write_frame(&pending).map_err(failed)
    }
}

/// A part of a picture: left, top, width, height.
type Part = (u32, u32, u32, u32);

/// The smallest part in which two frames of one size differ.
fn changed(old: &Frame, new: &Frame) -> Option<Part> {
    let row = 3 * new.width as usize;
    let rows = || old.rgb.chunks_exact(row).zip(new.rgb.chunks_exact(row));
    let top = rows().position(|(a, b)| a != b)?;
    let bottom = rows().rposition(|(a, b)| a != b)?;
    let differing = || rows().skip(top).take(bottom + 1 - top).filter(|(a, b)| a != b);
    let first = |(a, b): (&[u8], &[u8])| a.iter().zip(b).position(|(a, b)| a != b);
    let last = |(a, b): (&[u8], &[u8])| a.iter().zip(b).rposition(|(a, b)| a != b);
    let left = differing().filter_map(first).min()? / 3;
    let right = differing().filter_map(last).max()? / 3;
    let part = [left, top, right + 1 - left, bottom + 1 - top].map(|x| x as u32);
    Some((part[0], part[1], part[2], part[3]))
}

/// A part of a picture in 256 colours: its own where they are no more, else the nearest.
fn cut(frame: &Frame, (left, top, width, height): Part) -> Result<gif::Frame<'static>, TrainError> {
    let row = 3 * frame.width as usize;
    let columns = 3 * left as usize..3 * (left + width) as usize;
    let rows = frame.rgb.chunks_exact(row).skip(top as usize).take(height as usize);
    let rgb: Vec<u8> = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
    let cut = gif::Frame::from_rgb_speed(side(width)?, side(height)?, &rgb, 10);
    Ok(gif::Frame { left: side(left)?, top: side(top)?, dispose: gif::DisposalMethod::Keep, ..cut })
}

/// A length as a GIF can hold it.
fn side(pixels: u32) -> Result<u16, TrainError> {
    u16::try_from(pixels)
        .map_err(|_| TrainError::Picture(format!("{pixels} pixels are more than a GIF's 65535")))
}

fn check(frame: &Frame) -> Result<(), TrainError> {
    let Frame { width, height, rgb } = frame;
    let expected = 3 * u64::from(*width) * u64::from(*height);
    if expected == 0 || rgb.len() as u64 != expected {
        let got = rgb.len();
        let reason = format!(
            "a frame of {width} x {height} pixels has {got} bytes, expected three a pixel and a pixel"
        );
        return Err(TrainError::Picture(reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grey field with one white pixel.
    fn field(x: usize, y: usize) -> Frame {
        let mut rgb = vec![90; 3 * 8 * 5];
        rgb[3 * (y * 8 + x)..][..3].fill(255);
        Frame { width: 8, height: 5, rgb }
    }

    /// Plays a GIF back: every picture whole, with its delay.
    fn played(gif: &[u8]) -> Vec<(Vec<u8>, u16)> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(gif).unwrap();
        let width = usize::from(decoder.width());
        let mut screen = vec![0; 3 * width * usize::from(decoder.height())];
        let mut pictures = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            for (k, rgba) in frame.buffer.chunks_exact(4).enumerate() {
                let (x, y) = (k % usize::from(frame.width), k / usize::from(frame.width));
                let at = 3 * ((y + usize::from(frame.top)) * width + x + usize::from(frame.left));
                screen[at..at + 3].copy_from_slice(&rgba[..3]);
            }
            pictures.push((screen.clone(), frame.delay));
        }
        pictures
    }

    #[test]
    fn a_film_shows_what_was_put_in() {
        let mut gif = Gif::new(25);
        let frames = [field(1, 1), field(6, 3), field(6, 3), field(0, 4)];
        for (i, frame) in frames.iter().enumerate() {
            gif.push(frame.clone(), i == 3).unwrap();
        }
        let expected = [(frames[0].rgb.clone(), 4), (frames[1].rgb.clone(), 8), (frames[3].rgb.clone(), 104)];
        assert_eq!(played(&gif.finish().unwrap()), expected);
    }

    #[test]
    fn only_what_changed_is_written() {
        assert_eq!(changed(&field(1, 1), &field(6, 3)), Some((1, 1, 6, 3)));
        assert_eq!(changed(&field(1, 1), &field(1, 1)), None);
        assert_eq!(changed(&field(7, 4), &field(6, 4)), Some((6, 4, 2, 1)));
    }

    #[test]
    fn frames_that_cannot_be_shown_are_refused() {
        let mut gif = Gif::new(30);
        gif.push(field(0, 0), false).unwrap();
        let mut narrow = field(0, 0);
        narrow.width = 4;
        assert!(gif.push(narrow.clone(), false).is_err() && png(&narrow).is_err());
        let other = Frame { width: 5, height: 8, ..field(0, 0) };
        let error = gif.push(other, false).unwrap_err().to_string();
        assert!(error.contains("5 x 8 pixels follows one of 8 x 5"), "{error}");
        assert!(Gif::new(30).finish().is_err());
    }

    #[test]
    fn a_picture_comes_back() {
        let bytes = png(&field(3, 2)).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut rgb).unwrap();
        assert_eq!(rgb, field(3, 2).rgb);
    }
}
