//! Documents to an encoded row group.

use mashbill_parquet::encode::{
    Chunk, Compression, Compressor, Encoding, bit_packed_indices, delta_binary_packed, join,
};
use mashbill_parquet::encode::{index_width, levels_of_options};
use mashbill_parquet::row_group::EncodedRowGroup;

use super::Document;
use super::texts::{DistinctTexts, plain_text};
use crate::loss_spans;
use crate::shard::spans_body;

const ROWS_PER_PAGE: usize = 4096;

/// The columns by their place in the schema.
const DOC_ID: usize = 0;
const ID: usize = 1;
const SOURCE: usize = 2;
const CATEGORY: usize = 3;
const CONTENT_HASH: usize = 4;
const TOKENS: usize = 5;
const ROW: usize = 6;
const POSITION: usize = 7;
const LOSS_SPANS: usize = 8;

/// How many there are at the most, and without `loss_spans`.
const COLUMNS_MAX: usize = 9;
const COLUMNS_PLAIN: usize = 8;

/// Encodes document tables; it keeps all the memory it works in.
#[derive(Debug)]
pub struct DocumentsEncoder {
    compressor: Compressor,
    uncompressed: Compressor,
    chunks: [Chunk; COLUMNS_MAX],
    /// A page's body before compression.
    body: Vec<u8>,
    /// One column of a page.
    values: Vec<i64>,
    texts: DistinctTexts,
    /// The index in `texts` of each document that has a text.
    indices: Vec<u32>,
}

type Text<'a> = for<'d> fn(&'d Document<&'a str>) -> Option<&'a str>;

impl DocumentsEncoder {
    /// An encoder of tables compressed with `compression`.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self {
            compressor: Compressor::new(compression),
            uncompressed: Compressor::new(Compression::None),
            chunks: Default::default(),
            body: Vec::new(),
            values: Vec::new(),
            texts: DistinctTexts::default(),
            indices: Vec::new(),
        }
    }

    /// Encodes `documents` as one row group, with `loss_spans` where they have some. The bytes depend on the documents alone.
    ///
    /// # Panics
    /// Panics where some have spans and others have none, or they are not of a document's tokens.
    pub fn encode(&mut self, documents: &[Document<&str>]) -> EncodedRowGroup {
        self.integers(DOC_ID, documents, |document| document.doc_id);
        self.plain_texts(ID, documents, |document| document.id);
        self.few_texts(SOURCE, documents, |document| document.source);
        self.few_texts(CATEGORY, documents, |document| document.category);
        self.hashes(documents);
        self.integers(TOKENS, documents, |document| document.tokens);
        self.integers(ROW, documents, |document| document.row);
        self.integers(POSITION, documents, |document| document.position.into());
        let has_spans = documents.first().is_some_and(|document| !document.loss_spans.is_empty());
        if has_spans {
            self.loss_spans(documents);
        }
        let columns = if has_spans { COLUMNS_MAX } else { COLUMNS_PLAIN };
        join(documents.len(), ROWS_PER_PAGE, &mut self.chunks[..columns], Vec::new())
    }

    fn loss_spans(&mut self, documents: &[Document<&str>]) {
        for page in documents.chunks(ROWS_PER_PAGE) {
            for Document { loss_spans: spans, tokens, .. } in page {
                let tokens = u64::try_from(*tokens).expect("a document has no negative number of tokens");
                loss_spans::check(spans, tokens).expect("the spans are of the document's tokens");
            }
            self.values.clear();
            self.body.clear();
            let spans = page.iter().map(|document| document.loss_spans.as_slice());
            spans_body(&mut self.body, &mut self.values, spans);
            self.page(LOSS_SPANS, self.values.len(), Encoding::DeltaBinaryPacked);
        }
    }

    fn integers(&mut self, column: usize, documents: &[Document<&str>], value: fn(&Document<&str>) -> i64) {
        for page in documents.chunks(ROWS_PER_PAGE) {
            self.values.clear();
            self.values.extend(page.iter().map(value));
            self.body.clear();
            delta_binary_packed(&mut self.body, &self.values);
            self.page(column, page.len(), Encoding::DeltaBinaryPacked);
        }
    }

    fn hashes(&mut self, documents: &[Document<&str>]) {
        for page in documents.chunks(ROWS_PER_PAGE) {
            self.body.clear();
            self.body.extend(page.iter().flat_map(|document| document.content_hash.to_bytes()));
            let hashes = self.uncompressed.compress(&self.body);
            self.chunks[CONTENT_HASH].data_page(page.len(), Encoding::Plain, self.body.len(), hashes);
        }
    }

    fn plain_texts<'a>(&mut self, column: usize, documents: &[Document<&'a str>], text: Text<'a>) {
        for page in documents.chunks(ROWS_PER_PAGE) {
            self.body.clear();
            levels_of_options(&mut self.body, page.iter().map(|document| text(document).is_some()));
            page.iter().filter_map(text).for_each(|text| plain_text(&mut self.body, text));
            self.page(column, page.len(), Encoding::Plain);
        }
    }

    /// Texts of which few are distinct, by a dictionary; plainly where more than half of them are.
    fn few_texts<'a>(&mut self, column: usize, documents: &[Document<&'a str>], text: Text<'a>) {
        self.texts.clear();
        self.indices.clear();
        for text in documents.iter().filter_map(text) {
            self.indices.push(self.texts.index(text) as u32);
        }
        if self.texts.len() * 2 > self.indices.len() {
            return self.plain_texts(column, documents, text);
        }
        let mut first = 0;
        for page in documents.chunks(ROWS_PER_PAGE) {
            self.body.clear();
            levels_of_options(&mut self.body, page.iter().map(|document| text(document).is_some()));
            let end = first + page.iter().filter_map(text).count();
            bit_packed_indices(&mut self.body, &self.indices[first..end], index_width(self.texts.len()));
            first = end;
            self.page(column, page.len(), Encoding::Dictionary);
        }
        self.chunks[column].dictionary_page(self.texts.len(), self.texts.plain(), &mut self.compressor);
    }

    /// Appends `self.body` to a column.
    fn page(&mut self, column: usize, values: usize, encoding: Encoding) {
        let page = self.compressor.compress(&self.body);
        self.chunks[column].data_page(values, encoding, self.body.len(), page);
    }
}
