//! AutoencoderKL: pictures to latents and back.
