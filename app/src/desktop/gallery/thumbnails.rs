//! The thumbnails that are on the graphics card: those that are seen and a margin, the longest unseen given back first.

use std::collections::HashMap;
use std::sync::Arc;

use eframe::egui::{self, TextureHandle, TextureOptions};
use image::RgbImage;

use crate::desktop::canvas::color_image;
use crate::library::{Entry, File};

/// The fewest that are held, however little is seen.
const LEAST: usize = 64;

/// A thumbnail.
pub enum Thumbnail {
    /// It is here.
    There(TextureHandle),
    /// It cannot be made: why.
    Damaged(String),
}

#[derive(Default)]
pub struct Thumbnails {
    held: HashMap<File, Held>,
    /// The frame that is being drawn, counted.
    frame: u64,
    /// What was asked for last.
    wanted: Vec<File>,
}

struct Held {
    thumbnail: Thumbnail,
    /// The last frame that showed it.
    seen: u64,
}

impl Thumbnails {
    /// Takes in a thumbnail.
    pub fn take(&mut self, ctx: &egui::Context, file: File, made: Result<Arc<RgbImage>, String>) {
        let thumbnail = match made {
            Ok(image) => Thumbnail::There(ctx.load_texture("thumbnail", color_image(&image), TextureOptions::LINEAR)),
            Err(reason) => Thumbnail::Damaged(reason),
        };
        self.held.insert(file, Held { thumbnail, seen: self.frame });
    }

    /// The thumbnail of a file that is being drawn.
    pub fn see(&mut self, file: &File) -> Option<&Thumbnail> {
        let frame = self.frame;
        let held = self.held.get_mut(file)?;
        held.seen = frame;
        Some(&held.thumbnail)
    }

    /// A frame has shown `visible`, and is likely to show `near` next; returns what to ask for, if that is something new.
    pub fn end_frame<'e>(
        &mut self,
        visible: impl Iterator<Item = &'e Arc<Entry>>,
        near: impl Iterator<Item = &'e Arc<Entry>>,
    ) -> Option<Vec<File>> {
        let mut count = 0;
        let mut wanted = Vec::new();
        for entry in visible.chain(near) {
            count += 1;
            match self.held.get_mut(&entry.file) {
                Some(held) => held.seen = self.frame,
                None => wanted.push(entry.file.clone()),
            }
        }
        self.give_back(count.max(LEAST));
        self.frame += 1;
        (wanted != self.wanted).then(|| {
            self.wanted = wanted;
            self.wanted.clone()
        })
    }

    /// Holds no more than `most`.
    fn give_back(&mut self, most: usize) {
        let Some(surplus) = self.held.len().checked_sub(most).filter(|surplus| *surplus > 0) else { return };
        let mut unseen: Vec<(u64, File)> = self.held.iter().map(|(file, held)| (held.seen, file.clone())).collect();
        unseen.sort_unstable_by_key(|(seen, _)| *seen);
        for (_, file) in unseen.into_iter().take(surplus) {
            self.held.remove(&file);
        }
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }
}
