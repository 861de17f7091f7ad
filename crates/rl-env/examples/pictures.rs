//! Writes a picture of every built-in environment after a few random steps.
//!
//! `cargo run --release -p rl-env --example pictures -- DIRECTORY [STEPS]`

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use rl_env::rng::stream;
use rl_env::{Frame, Registry};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let directory = args.next().ok_or("which directory?")?;
    let steps: usize = args.next().map_or(Ok(25), |n| n.parse())?;
    std::fs::create_dir_all(&directory)?;
    for spec in Registry::builtin().iter() {
        let (mut env, mut rng) = (spec.make(), stream(3, "picture", 0));
        let mut obs = vec![0.0; env.observation_space().flat_len()];
        env.reset(&mut rng, &mut obs)?;
        for _ in 0..steps {
            let action = env.sample_action(&mut rng)?;
            if env.step(action.as_ref(), &mut rng, &mut obs)?.end.is_over() {
                break;
            }
        }
        if let Some(frame) = env.render() {
            write_png(&frame, &Path::new(&directory).join(format!("{}.png", spec.id)))?;
        }
    }
    Ok(())
}

fn write_png(frame: &Frame, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), frame.width, frame.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.write_header()?.write_image_data(&frame.rgb)?;
    Ok(())
}
