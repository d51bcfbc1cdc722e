//! A normalizer as a `tokenizer.json` has it.

use serde::Deserialize;

use crate::bert::BertNormalizer;
use crate::charsmap::Charsmap;
use crate::error::{Error, refuse, unsupported};
use crate::metaspace::METASPACE;
use crate::normalizer::{FORMS, Normalizer, NormalizerStep, Replaced};
use crate::pre_tokenizer_part::Sought;

/// A normalizer, which may be a list of them.
#[derive(Deserialize)]
pub(crate) struct NormalizerPart {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    normalizers: Vec<Self>,
    pattern: Option<Sought>,
    content: Option<String>,
    prepend: Option<String>,
    strip_left: Option<bool>,
    strip_right: Option<bool>,
    clean_text: Option<bool>,
    handle_chinese_chars: Option<bool>,
    strip_accents: Option<bool>,
    lowercase: Option<bool>,
    precompiled_charsmap: Option<String>,
}

impl NormalizerPart {
    /// The normalizer. Spaces that it makes `▁` may stay spaces at its end, and `▁` become some, if `spaces_may_stay`.
    pub(crate) fn normalizer(&self, spaces_may_stay: bool) -> Result<Normalizer, Error> {
        let mut parts = Vec::new();
        self.flatten(&mut parts);
        let mut metaspace = None;
        if spaces_may_stay {
            let prepends_first = |parts: &[&Self]| parts.last().is_some_and(|part| part.prepends_metaspace());
            let mut rest = &*parts;
            // In either order.
            let prepends = prepends_first(rest);
            rest = if prepends { &rest[..rest.len() - 1] } else { rest };
            if let Some((_, before)) = rest.split_last().filter(|(last, _)| last.replaces_spaces()) {
                let prepended_before = !prepends && prepends_first(before);
                let before = if prepended_before { &before[..before.len() - 1] } else { before };
                metaspace = Some(NormalizerStep::Metaspace { prepends: prepends || prepended_before });
                parts.truncate(before.len());
            }
        }
        let steps: Result<Vec<_>, Error> =
            parts.into_iter().map(Self::step).chain(metaspace.map(Ok)).collect();
        Ok(Normalizer::new(steps?))
    }

    fn flatten<'a>(&'a self, parts: &mut Vec<&'a Self>) {
        match &*self.kind {
            "Sequence" => self.normalizers.iter().for_each(|part| part.flatten(parts)),
            _ => parts.push(self),
        }
    }

    fn prepends_metaspace(&self) -> bool {
        self.kind == "Prepend" && self.prepend.as_deref() == Some(METASPACE)
    }

    fn replaces_spaces(&self) -> bool {
        let is_space = matches!(&self.pattern, Some(Sought::String(string)) if string == " ");
        self.kind == "Replace" && is_space && self.content.as_deref() == Some(METASPACE)
    }

    /// One step by itself.
    fn step(&self) -> Result<NormalizerStep, Error> {
        let kind = &*self.kind;
        let missing = || unsupported(format!("its normalizer is a {kind} of another kind"));
        if let Some((form, _)) = FORMS.iter().find(|(_, name)| *name == kind) {
            return Ok(NormalizerStep::Form(*form));
        }
        Ok(match kind {
            "Lowercase" => NormalizerStep::Lowercase,
            "StripAccents" => NormalizerStep::StripAccents,
            "Strip" => NormalizerStep::Strip {
                left: self.strip_left.ok_or_else(missing)?,
                right: self.strip_right.ok_or_else(missing)?,
            },
            "BertNormalizer" => {
                let lowercase = self.lowercase.ok_or_else(missing)?;
                NormalizerStep::Bert(BertNormalizer {
                    clean_text: self.clean_text.ok_or_else(missing)?,
                    handle_chinese_chars: self.handle_chinese_chars.ok_or_else(missing)?,
                    strip_accents: self.strip_accents.unwrap_or(lowercase),
                    lowercase,
                })
            }
            "Replace" => {
                let replaced = match self.pattern.as_ref().ok_or_else(missing)? {
                    Sought::String(string) => {
                        refuse(string.is_empty(), "it replaces nothing by something")?;
                        Replaced::String(string.clone())
                    }
                    Sought::Regex(regex) => Replaced::regex(regex)?,
                };
                NormalizerStep::Replace { replaced, content: self.content.clone().ok_or_else(missing)? }
            }
            "Prepend" => NormalizerStep::Prepend(self.prepend.clone().ok_or_else(missing)?),
            "Nmt" => NormalizerStep::Nmt,
            "Precompiled" => {
                let charsmap = self.precompiled_charsmap.as_deref().ok_or_else(missing)?;
                NormalizerStep::Charsmap(Charsmap::new(charsmap)?)
            }
            _ => return Err(unsupported(format!("its normalizer is {kind}"))),
        })
    }
}
