//! Maps that are worked out a strip of rows at a time, to the bits that they have as a whole.
//!
//! A decoder's maps at full resolution are hundreds of times as large as the picture. A strip needs a few rows of each
//! only, but a group norm needs to know all of its input before the first row. So a map is gone through as often as
//! norms look at it: it is held where there is room, else it is made again from the last one that was.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::blocks::ResnetBlock;
use super::tiling::Ledger;
use crate::Result;
use crate::ops::bands::{Banded, Size, View};
use crate::ops::group_norm::{GroupNorm, Moments, Scales};
use crate::ops::host::with_values;

/// Pixels of a strip: enough bands for many cores.
pub(super) const PIXELS: usize = 1 << 14;

/// Some rows of a map, (c, rows, w).
pub(super) type Strip = Arc<Vec<f32>>;

/// A map on its way: its strips from the top down.
pub(super) trait Rows {
    /// The size of the whole map.
    fn size(&self) -> Size;
    /// The next strip; `None` at the end.
    fn next(&mut self) -> Result<Option<Strip>>;
}

/// Somebody who makes rows, for as long as what they are made of lives.
type BoxRows<'a> = Box<dyn Rows + 'a>;

/// A map: the strips that are held, and what is still to be done to them whenever rows are asked for.
pub(super) struct Map<'a> {
    size: Size,
    strips: Vec<Strip>,
    steps: Vec<Step<'a>>,
}

/// What is done to a map on the way.
enum Step<'a> {
    Mapped(&'a dyn Banded),
    Resnet { block: &'a ResnetBlock, first: Scales, second: Scales },
}

impl<'a> Map<'a> {
    /// A map that is there, (c, h, w).
    pub(super) fn new(values: Vec<f32>, size: Size) -> Self {
        Self { size, strips: vec![Arc::new(values)], steps: Vec::new() }
    }

    /// The map, as often as it is wanted.
    fn rows(&self) -> BoxRows<'_> {
        through(Box::new(Given { size: self.size, strips: self.strips.iter().cloned() }), &self.steps)
    }

    /// What is held and what is to be done to it. Whoever goes through it gives it back strip by strip.
    fn use_up(&mut self) -> (Given<std::vec::IntoIter<Strip>>, Vec<Step<'a>>) {
        let strips = std::mem::take(&mut self.strips).into_iter();
        (Given { size: self.size, strips }, std::mem::take(&mut self.steps))
    }

    /// Holds the map as it is now, in place of what was held.
    fn hold(&mut self) -> Result<()> {
        let (held, steps) = self.use_up();
        let mut rows = through(Box::new(held), &steps);
        (self.size, self.strips) = (rows.size(), collect(rows.as_mut(), |_| {})?);
        Ok(())
    }

    /// A convolution: (c, h, w) -> (o, h', w').
    pub(super) fn conv(&mut self, conv: &'a dyn Banded, ledger: &mut Ledger) -> Result<()> {
        let input = self.rows().size();
        self.steps.push(Step::Mapped(conv));
        if ledger.map(input, conv.shape().output(input)) { self.hold() } else { Ok(()) }
    }

    /// A residual block: (c, h, w) -> (o, h, w).
    pub(super) fn resnet(&mut self, block: &'a ResnetBlock, ledger: &mut Ledger) -> Result<()> {
        let input = self.rows().size();
        let output = block.conv1.shape().output(input);
        let first = scales(&block.norm1, self.rows().as_mut())?;
        let middle = || Box::new(Mapped::new(&block.conv1, normed(self.rows(), first.clone())));
        if ledger.middle(input, output) {
            let mut moments = Moments::new(output.channels, output.width);
            let strips = collect(middle().as_mut(), |strip| moments.add(strip))?;
            let second = block.norm2.scales(&moments)?;
            ledger.held_middle(output);
            let (held, steps) = self.use_up();
            let middle = Box::new(Given { size: output, strips: strips.into_iter() });
            let path = Mapped::new(&block.conv2, normed(middle, second));
            let mut rows = Sum::new(Box::new(path), beside(block, through(Box::new(held), &steps)));
            (self.size, self.strips) = (output, collect(&mut rows, |_| {})?);
            return Ok(());
        }
        let second = scales(&block.norm2, middle().as_mut())?;
        self.steps.push(Step::Resnet { block, first, second });
        if ledger.resnet(input, output) { self.hold() } else { Ok(()) }
    }

    /// conv(silu(norm(x))), (c, h, w) -> (o, h, w): its values. The map is used up.
    pub(super) fn finish(mut self, norm: &GroupNorm, conv: &dyn Banded) -> Result<(Vec<f32>, Size)> {
        let scales = scales(norm, self.rows().as_mut())?;
        let (held, steps) = self.use_up();
        let x = through(Box::new(held), &steps);
        let mut rows = Mapped::new(conv, normed(x, scales));
        Ok((whole(&mut rows)?, rows.size()))
    }

    /// Its size and values, (c, h, w). The map is used up.
    pub(super) fn into_values(mut self) -> Result<(Vec<f32>, Size)> {
        let (held, steps) = self.use_up();
        let mut rows = through(Box::new(held), &steps);
        Ok((whole(rows.as_mut())?, rows.size()))
    }
}

/// `rows` after every step.
fn through<'a>(rows: BoxRows<'a>, steps: &'a [Step<'_>]) -> BoxRows<'a> {
    steps.iter().fold(rows, |rows, step| match step {
        Step::Mapped(map) => Box::new(Mapped::new(*map, rows)),
        Step::Resnet { block, first, second } => {
            let (x, again) = Tee::pair(rows);
            let middle = Mapped::new(&block.conv1, normed(Box::new(x), first.clone()));
            let path = Mapped::new(&block.conv2, normed(Box::new(middle), second.clone()));
            Box::new(Sum::new(Box::new(path), beside(block, Box::new(again))))
        }
    })
}

/// What a residual block adds its path to.
fn beside<'a>(block: &'a ResnetBlock, x: BoxRows<'a>) -> BoxRows<'a> {
    match &block.conv_shortcut {
        Some(conv) => Box::new(Mapped::new(conv, x)),
        None => x,
    }
}

/// All strips, each of which `look` sees.
fn collect(rows: &mut dyn Rows, mut look: impl FnMut(&[f32])) -> Result<Vec<Strip>> {
    let mut strips = Vec::new();
    while let Some(strip) = rows.next()? {
        look(&strip);
        strips.push(strip);
    }
    Ok(strips)
}

/// The whole map, (c, h, w).
fn whole(rows: &mut dyn Rows) -> Result<Vec<f32>> {
    let size = rows.size();
    let mut values = vec![0f32; size.channels * size.height * size.width];
    let mut row = 0;
    while let Some(strip) = rows.next()? {
        let (plane, part) = (size.height * size.width, (strip.len() / size.channels.max(1)).max(1));
        for (plane, part) in values.chunks_mut(plane.max(1)).zip(strip.chunks(part)) {
            plane.iter_mut().skip(row * size.width).zip(part).for_each(|(to, from)| *to = *from);
        }
        row += part / size.width.max(1);
    }
    Ok(values)
}

/// The values of one picture, (1, c, h, w), and its size.
pub(super) fn values(x: Tensor) -> Result<(Vec<f32>, Size)> {
    let (_, channels, height, width) = x.dims4()?;
    let values = with_values(&x.contiguous()?, |x| Ok(x.to_vec()))?;
    Ok((values, Size { channels, height, width }))
}

/// What `work` makes of every picture of a batch, as a batch.
pub(super) fn item_by_item(x: &Tensor, mut work: impl FnMut(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let items = (0..x.dim(0)?).map(|n| work(&x.narrow(0, n, 1)?)).collect::<Result<Vec<_>>>()?;
    Ok(Tensor::cat(&items, 0)?)
}

/// What a norm needs to know of a map.
fn scales(norm: &GroupNorm, rows: &mut dyn Rows) -> Result<Scales> {
    let mut moments = Moments::new(rows.size().channels, rows.size().width);
    while let Some(strip) = rows.next()? {
        moments.add(&strip);
    }
    norm.scales(&moments)
}

/// Strips that are there.
struct Given<I> {
    size: Size,
    strips: I,
}

impl<I: Iterator<Item = Strip>> Rows for Given<I> {
    fn size(&self) -> Size {
        self.size
    }

    fn next(&mut self) -> Result<Option<Strip>> {
        Ok(self.strips.next())
    }
}

/// silu(norm(x)).
struct Normed<'a> {
    x: BoxRows<'a>,
    scales: Scales,
}

fn normed<'a>(x: BoxRows<'a>, scales: Scales) -> BoxRows<'a> {
    Box::new(Normed { x, scales })
}

impl Rows for Normed<'_> {
    fn size(&self) -> Size {
        self.x.size()
    }

    fn next(&mut self) -> Result<Option<Strip>> {
        Ok(self.x.next()?.map(|strip| Arc::new(self.scales.apply_silu(&strip))))
    }
}

/// A convolution, which waits for the rows below those it makes.
struct Mapped<'a> {
    map: &'a dyn Banded,
    x: BoxRows<'a>,
    /// Strips of x from row `first` on.
    window: VecDeque<Strip>,
    first: usize,
    /// The next unit.
    next: usize,
}

impl<'a> Mapped<'a> {
    fn new(map: &'a dyn Banded, x: BoxRows<'a>) -> Self {
        Self { map, x, window: VecDeque::new(), first: 0, next: 0 }
    }
}

impl Rows for Mapped<'_> {
    fn size(&self) -> Size {
        self.map.shape().output(self.x.size())
    }

    fn next(&mut self) -> Result<Option<Strip>> {
        let (shape, input) = (self.map.shape(), self.x.size());
        let (units, band) = (shape.units(input), shape.band(input));
        if self.next >= units {
            return Ok(None);
        }
        let per_row = (shape.enlarge * shape.enlarge * input.width / shape.stride).max(1);
        let end = (self.next + (PIXELS / per_row / band).max(1) * band).min(units);
        let line = (input.channels * input.width).max(1);
        let rows = |strip: &Strip| strip.len() / line;
        let wanted = shape.sees(&(self.next..end), input);
        let mut known = self.first + self.window.iter().map(rows).sum::<usize>();
        while known < wanted.end {
            let Some(strip) = self.x.next()? else { break };
            known += rows(&strip);
            self.window.push_back(strip);
        }
        let pieces = self.window.iter().map(|strip| strip.as_slice());
        let strip = self.map.rows(&View::pieces(self.first, pieces, input), self.next..end)?;
        self.next = end;
        let needed = shape.sees(&(end..end + 1), input).start;
        while let Some(gone) = self.window.front().map(rows).filter(|rows| self.first + rows <= needed) {
            self.window.pop_front();
            self.first += gone;
        }
        Ok(Some(Arc::new(strip)))
    }
}

/// a + b, in the strips of a.
struct Sum<'a> {
    a: BoxRows<'a>,
    b: BoxRows<'a>,
    /// What is left of the strip of b that was used last, and its first row that is still wanted.
    left: Option<(Strip, usize)>,
}

impl<'a> Sum<'a> {
    fn new(a: BoxRows<'a>, b: BoxRows<'a>) -> Self {
        Self { a, b, left: None }
    }
}

impl Rows for Sum<'_> {
    fn size(&self) -> Size {
        self.a.size()
    }

    fn next(&mut self) -> Result<Option<Strip>> {
        let Some(mut sum) = self.a.next()? else { return Ok(None) };
        let Size { channels, width, .. } = self.size();
        let line = (channels * width).max(1);
        let rows = sum.len() / line;
        let mut done = 0;
        while done < rows {
            let next = match self.left.take() {
                Some(left) => Some(left),
                None => self.b.next()?.map(|strip| (strip, 0)),
            };
            let Some((strip, from)) = next else { break };
            let there = strip.len() / line;
            let count = (there - from).min(rows - done);
            let planes = Arc::make_mut(&mut sum).par_chunks_mut((rows * width).max(1));
            planes.zip(strip.par_chunks((there * width).max(1))).for_each(|(a, b)| {
                let a = a.iter_mut().skip(done * width).take(count * width);
                a.zip(b.iter().skip(from * width)).for_each(|(a, b)| *a += b);
            });
            done += count;
            self.left = (from + count < there).then_some((strip, from + count));
        }
        Ok(Some(sum))
    }
}

/// One of two who read the same rows, each at its own pace.
struct Tee<'a> {
    source: Rc<RefCell<Source<'a>>>,
    me: usize,
}

struct Source<'a> {
    rows: BoxRows<'a>,
    /// What one of the two has read and the other has not yet.
    ahead: [VecDeque<Strip>; 2],
}

impl<'a> Tee<'a> {
    fn pair(rows: BoxRows<'a>) -> (Self, Self) {
        let source = Rc::new(RefCell::new(Source { rows, ahead: Default::default() }));
        (Self { source: source.clone(), me: 0 }, Self { source, me: 1 })
    }
}

impl Rows for Tee<'_> {
    fn size(&self) -> Size {
        self.source.borrow().rows.size()
    }

    fn next(&mut self) -> Result<Option<Strip>> {
        let Source { rows, ahead: [one, other] } = &mut *self.source.borrow_mut();
        let (mine, other) = if self.me == 0 { (one, other) } else { (other, one) };
        if let Some(strip) = mine.pop_front() {
            return Ok(Some(strip));
        }
        let strip = rows.next()?;
        other.extend(strip.clone());
        Ok(strip)
    }
}
