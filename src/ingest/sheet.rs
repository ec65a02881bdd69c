//! A table of text: what every kind of body becomes before its cells are read.

use polars::prelude::{DataFrame, StringChunked};

use super::ReadError;
use super::layout::{Joined, Layout};

/// Columns of text with the line of each row.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// The rows as Polars' threads split them: putting them together would copy them all.
    blocks: Vec<Block>,
    lines: Vec<u32>,
}

/// Rows that one array a column holds.
#[derive(Debug)]
struct Block {
    /// The first of its rows.
    first: usize,
    n_rows: usize,
    /// By position in the file; `None` for columns that nobody reads.
    columns: Vec<Option<StringChunked>>,
}

/// A body as a table, with what was put aside on the way.
#[derive(Debug)]
pub(super) struct Source {
    pub layout: Layout,
    pub sheet: Sheet,
    pub rejected: Vec<Rejected>,
    pub notes: Vec<Note>,
    pub delimiter: Option<String>,
    /// Whether a cell can hold a comma at all.
    pub has_commas: bool,
    /// Whether one with a comma is quoted, because commas part fields: who writes so needs none for decimals.
    pub commas_are_quoted: bool,
    /// How many numbers of the columns that nobody reads have a dot for decimals, and how many a comma.
    pub signs_beside: (usize, usize),
    /// Whether numbers came as numbers, so that their decimal sign is known.
    pub is_typed: bool,
    /// The zone that an answer tells beside its bars.
    pub told_zone: Option<String>,
}

/// A line that is no row.
#[derive(Debug)]
pub(super) struct Rejected {
    pub line: u32,
    pub code: &'static str,
    pub text: String,
    pub message: String,
}

/// Something left out that refuses nothing.
#[derive(Debug)]
pub(super) struct Note {
    pub code: &'static str,
    pub message: String,
}

impl Rejected {
    pub(super) fn new(line: u32, code: &'static str, text: &str, message: &str) -> Self {
        Self { line, code, text: text.chars().take(100).collect(), message: message.to_owned() }
    }
}

impl Sheet {
    /// Takes the columns of a frame; `used` says which of the file's they are, in the frame's order.
    pub(super) fn new(mut frame: DataFrame, used: &[usize], lines: Vec<u32>) -> Result<Self, ReadError> {
        let width = used.iter().max().map_or(0, |last| last + 1);
        let mut blocks: Vec<Block> = Vec::new();
        for part in frame.split_chunks() {
            let mut columns = vec![None; width];
            for (position, column) in used.iter().zip(part.columns()) {
                let text = column.str().map_err(|error| ReadError::unreadable("unreadable_rows", error.to_string()))?;
                columns[*position] = Some(text.clone());
            }
            let first = blocks.last().map_or(0, |before| before.first + before.n_rows);
            blocks.push(Block { first, n_rows: part.height(), columns });
        }
        Ok(Self { blocks, lines })
    }

    pub(super) fn n_rows(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn line(&self, row: usize) -> u32 {
        self.lines[row]
    }

    /// A cell; empty where there is none.
    pub(super) fn cell(&self, column: usize, row: usize) -> &str {
        let after = self.blocks.partition_point(|block| block.first <= row);
        after.checked_sub(1).map_or("", |at| self.blocks[at].cell(column, row - self.blocks[at].first))
    }

    /// The cells of a column with their lines.
    pub(super) fn cells(&self, column: usize) -> impl Iterator<Item = (u64, &str)> {
        let cells = self.blocks.iter().flat_map(move |block| (0..block.n_rows).map(move |at| block.cell(column, at)));
        self.lines.iter().map(|line| u64::from(*line)).zip(cells)
    }

    /// Gives empty cells of a column what stands above them.
    pub(super) fn fill_down(&mut self, column: usize) {
        let mut above = String::new();
        for block in &mut self.blocks {
            let mut filled = |at: usize| {
                let cell = block.cell(column, at);
                if !cell.is_empty() {
                    cell.clone_into(&mut above);
                }
                above.clone()
            };
            let texts: StringChunked = (0..block.n_rows).map(&mut filled).collect();
            if let Some(column) = block.columns.get_mut(column) {
                *column = Some(texts);
            }
        }
    }

    /// Writes the parts of a date or a time that stand in columns of their own as one text: `2024-01-02`, `09:30`.
    pub(super) fn join(&mut self, joined: &[Joined]) {
        for joined in joined {
            for block in &mut self.blocks {
                let texts: StringChunked = (0..block.n_rows).map(|at| block.joined(joined, at)).collect();
                if let Some(column) = block.columns.get_mut(joined.at) {
                    *column = Some(texts);
                }
            }
        }
    }
}

impl Block {
    /// A cell of row `at` of the block.
    fn cell(&self, column: usize, at: usize) -> &str {
        self.columns.get(column).and_then(Option::as_ref).and_then(|text| text.get(at)).unwrap_or_default()
    }

    fn joined(&self, Joined { parts, sign, .. }: &Joined, at: usize) -> String {
        let mut text = String::with_capacity(10);
        for (idx, column) in parts.iter().enumerate() {
            let part = self.cell(*column, at).trim();
            let part = part.strip_suffix(".0").unwrap_or(part);
            if idx > 0 {
                text.push(*sign);
            }
            if part.len() == 1 {
                text.push('0');
            }
            // The column says that it is the year: no order is left open. 92 may be of another era.
            if *sign == '-' && idx == 0 && part.parse::<u8>().is_ok_and(|year| year <= 50) && part.len() <= 2 {
                text.insert_str(0, "20");
            }
            text.push_str(part);
        }
        text
    }
}

impl Layout {
    /// The columns that are read, ascending.
    pub(super) fn used(&self) -> Vec<usize> {
        let mut used = vec![self.date];
        used.extend([self.time, self.ticker, self.series, self.trade_status, self.is_complete].into_iter().flatten());
        used.extend(self.joined.iter().flat_map(|joined| &joined.parts));
        for group in &self.groups {
            used.extend([group.open, group.high, group.low, group.close]);
            used.extend(group.volumes.iter().map(|(_, at)| *at));
            let adjusted = [group.adj_open, group.adj_high, group.adj_low, group.adj_close, group.adj_volume];
            used.extend(adjusted.into_iter().flatten());
        }
        used.sort_unstable();
        used.dedup();
        used
    }
}
