//! How the Hub is reached from this machine: the rules of the official client.
//!
//! The rules live here and the environment outside: [`Settings::from_env`] asks a
//! look-up function, so a test or another program can give its own answers. Two
//! differences are on purpose: an empty variable counts as unset everywhere, and a
//! value that makes no sense is an error rather than a surprise later.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mashbill_store::open;

use crate::error::{Error, Result, Unreachable};
use crate::proxy::{Proxies, Proxy};
use crate::token::{AccessToken, TokenSource};
use crate::url::Endpoint;
use crate::words::escaped;

/// The largest file with a token in bytes.
const TOKEN_BYTES_MAX: u64 = 64 << 10;

const ENDPOINT_DEFAULT: &str = "https://huggingface.co";
const TIMEOUT_DEFAULT_SECONDS: u64 = 10;
/// The longest timeout: a day.
const TIMEOUT_MAX_SECONDS: u64 = 24 * 3600;
/// Characters of a server's words that are shown.
const SHOWN_CHARS_MAX: usize = 300;

/// Everything that decides how the Hub is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Hub or a mirror.
    pub endpoint: Endpoint,
    /// The token to send to the endpoint, if there is one.
    pub token: Option<AccessToken>,
    /// The folder of the Hub's own cache, which holds `models--org--name`. It need not exist.
    pub cache: PathBuf,
    /// Whether the network is switched off.
    pub offline: bool,
    /// The proxies on the way.
    pub proxies: Proxies,
    /// How long each step up to the beginning of an answer may take: finding the host, connecting, answering.
    pub answer_timeout: Duration,
    /// How long a transfer may stand still. Three times as long it may come at less than 1 kB a second, and six times
    /// as long an answer may take that is no file.
    pub stall_timeout: Duration,
}

impl Settings {
    /// The settings that environment variables give. `variable` returns a variable's value; apart
    /// from it only the token file is read.
    ///
    /// | setting | variables, the first that is set counts |
    /// |---|---|
    /// | endpoint | `HF_ENDPOINT`, `https://huggingface.co` |
    /// | token | `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, the file `HF_TOKEN_PATH`, the file `$HF_HOME/token`; none if `HF_HUB_DISABLE_IMPLICIT_TOKEN` is true |
    /// | cache | `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `$HF_HOME/hub` |
    /// | (`HF_HOME`) | `HF_HOME`, `$XDG_CACHE_HOME/huggingface`, `~/.cache/huggingface` |
    /// | offline | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` |
    /// | proxies | `http_proxy`, `HTTP_PROXY`, `all_proxy`, `ALL_PROXY`; the same with https; `no_proxy`, `NO_PROXY` |
    /// | timeouts in seconds | `HF_HUB_ETAG_TIMEOUT` (answer) and `HF_HUB_DOWNLOAD_TIMEOUT` (stall), 10 |
    ///
    /// True is 1, ON, YES or TRUE in any case. `~` (which is `HOME`, else `USERPROFILE`), `$NAME` and `${NAME}` are expanded in paths.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] names the variable whose value cannot be used, [`Error::InvalidToken`]
    /// the place of such a token, [`Io`](mashbill_store::Error::Io) a token file that is there but cannot be read.
    pub fn from_env(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let env = Env { variable };
        let home = env.hub_home()?;
        let cache = match env.set("HF_HUB_CACHE").or_else(|| env.set("HUGGINGFACE_HUB_CACHE")) {
            Some(path) => env.expand(&path)?,
            None => home.join("hub"),
        };
        let endpoint = env.set("HF_ENDPOINT");
        Ok(Self {
            endpoint: endpoint
                .as_deref()
                .unwrap_or(ENDPOINT_DEFAULT)
                .parse()
                .map_err(|why| Error::InvalidSetting { variable: "HF_ENDPOINT", why })?,
            token: env.token(&home)?,
            cache,
            offline: is_true(env.set("HF_HUB_OFFLINE").or_else(|| env.set("TRANSFORMERS_OFFLINE"))),
            proxies: env.proxies()?,
            answer_timeout: env.seconds("HF_HUB_ETAG_TIMEOUT")?,
            stall_timeout: env.seconds("HF_HUB_DOWNLOAD_TIMEOUT")?,
        })
    }
}

impl Settings {
    /// A server's words as they may be shown and stored: without the token, without what moves a terminal's cursor or
    /// turns the direction of writing, and not too long.
    pub(crate) fn shown(&self, text: &str) -> String {
        let masked = self.token.as_ref().map_or_else(|| text.to_owned(), |token| token.masked_in(text));
        escaped(&masked.chars().take(SHOWN_CHARS_MAX).collect::<String>())
    }

    /// The same for the words in an error.
    pub(crate) fn shown_in(&self, error: Unreachable) -> Unreachable {
        match error {
            Unreachable::Broken(why) => Unreachable::Broken(self.shown(&why)),
            Unreachable::Proxy(why) => Unreachable::Proxy(self.shown(&why)),
            Unreachable::Tls(why) => Unreachable::Tls(self.shown(&why)),
            other => other,
        }
    }
}

struct Env<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Env<'_> {
    fn set(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.trim().is_empty())
    }

    fn hub_home(&self) -> Result<PathBuf> {
        if let Some(path) = self.set("HF_HOME") {
            return self.expand(&path);
        }
        let caches = self.set("XDG_CACHE_HOME").unwrap_or_else(|| "~/.cache".to_owned());
        Ok(self.expand(&caches)?.join("huggingface"))
    }

    fn token(&self, home: &Path) -> Result<Option<AccessToken>> {
        if is_true(self.set("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
            return Ok(None);
        }
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
            if let Some(text) = self.set(name) {
                return AccessToken::new(&text, TokenSource::Variable(name));
            }
        }
        let path = match self.set("HF_TOKEN_PATH") {
            Some(path) => self.expand(&path)?,
            None => home.join("token"),
        };
        match open::read_text(&path, TOKEN_BYTES_MAX) {
            Ok(text) => AccessToken::new(&text, TokenSource::File(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path, error)),
        }
    }

    fn proxies(&self) -> Result<Proxies> {
        Ok(Proxies {
            http: self.proxy([("http_proxy", "HTTP_PROXY"), ("all_proxy", "ALL_PROXY")])?,
            https: self.proxy([("https_proxy", "HTTPS_PROXY"), ("all_proxy", "ALL_PROXY")])?,
            direct: self
                .either("no_proxy", "NO_PROXY")
                .map(|(_, hosts)| hosts.split(',').map(|host| host.trim().to_owned()).collect())
                .unwrap_or_default(),
        })
    }

    fn proxy(&self, names: [(&'static str, &'static str); 2]) -> Result<Option<Proxy>> {
        let Some((variable, address)) =
            names.into_iter().find_map(|(lower, upper)| self.either(lower, upper))
        else {
            return Ok(None);
        };
        Proxy::new(&address).map(Some).map_err(|why| Error::InvalidSetting { variable, why })
    }

    /// The variable in lower case, if it is there, else in upper case. An empty one in lower case switches both off.
    fn either(&self, lower: &'static str, upper: &'static str) -> Option<(&'static str, String)> {
        let (name, value) = match (self.variable)(lower) {
            Some(value) => (lower, value),
            None => (upper, (self.variable)(upper)?),
        };
        (!value.trim().is_empty()).then_some((name, value))
    }

    fn seconds(&self, variable: &'static str) -> Result<Duration> {
        let seconds = match self.set(variable) {
            Some(text) => {
                let seconds = text.trim().parse().ok().filter(|seconds| *seconds <= TIMEOUT_MAX_SECONDS);
                seconds.ok_or_else(|| Error::InvalidSetting {
                    variable,
                    why: format!(
                        "`{}` is not a number of whole seconds up to {TIMEOUT_MAX_SECONDS}",
                        text.escape_debug()
                    ),
                })?
            }
            None => 0,
        };
        Ok(Duration::from_secs(if seconds == 0 { TIMEOUT_DEFAULT_SECONDS } else { seconds }))
    }

    /// Expands a leading `~` and then variables. An unknown variable stays as it stands.
    fn expand(&self, path: &str) -> Result<PathBuf> {
        let in_home = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let path = match in_home {
            Some(rest) => self.user_home()? + rest,
            None => path.to_owned(),
        };
        let mut expanded = String::with_capacity(path.len());
        let mut rest = path.as_str();
        while let Some(start) = rest.find('$') {
            expanded.push_str(&rest[..start]);
            let (reference, name) = reference_at(&rest[start..]);
            match (self.variable)(name) {
                Some(value) => expanded.push_str(&value),
                None => expanded.push_str(reference),
            }
            rest = &rest[start + reference.len()..];
        }
        expanded.push_str(rest);
        Ok(PathBuf::from(expanded))
    }

    fn user_home(&self) -> Result<String> {
        self.set("HOME").or_else(|| self.set("USERPROFILE")).ok_or_else(|| Error::InvalidSetting {
            variable: "HOME",
            why: "it is not set, so the Hub's cache has no place; set it, or HF_HOME".to_owned(),
        })
    }
}

/// At a `$`: the reference as it stands and the name in it, which is empty for a lone `$`.
fn reference_at(text: &str) -> (&str, &str) {
    if let Some(inside) = text.strip_prefix("${")
        && let Some(end) = inside.find('}')
    {
        return (&text[..end + 3], &inside[..end]);
    }
    let end =
        text[1..].find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).map_or(text.len(), |end| end + 1);
    (&text[..end], &text[1..end])
}

fn is_true(value: Option<String>) -> bool {
    value.is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            found.or_else(|| (name == "HOME").then(|| "/nowhere/me".to_owned()))
        };
        Settings::from_env(&lookup)
    }

    fn resolved(variables: &[(&str, &str)]) -> Settings {
        settings(variables).expect("settings")
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        let settings = resolved(&[]);
        assert_eq!(settings.endpoint.to_string(), "https://huggingface.co");
        assert_eq!(settings.cache, Path::new("/nowhere/me/.cache/huggingface/hub"));
        assert!(settings.token.is_none() && !settings.offline);
        assert_eq!(
            (settings.answer_timeout, settings.stall_timeout),
            (Duration::from_secs(10), Duration::from_secs(10))
        );
        assert_eq!(
            resolved(&[("HF_ENDPOINT", ""), ("HF_HOME", ""), ("HF_TOKEN", " ")]).cache,
            settings.cache
        );
    }

    #[test]
    fn the_cache_follows_its_variables_in_order() {
        let check = |variables: &[(&str, &str)], expected: &str| {
            assert_eq!(resolved(variables).cache, Path::new(expected), "{variables:?}");
        };
        check(&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub");
        check(&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")], "/h/hub");
        check(&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old");
        check(&[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/new")], "/new");
        check(&[("HF_HOME", "~/hf")], "/nowhere/me/hf/hub");
        check(&[("HF_HOME", "~")], "/nowhere/me/hub");
        check(&[("HF_HOME", "~other/hf")], "~other/hf/hub");
        check(&[("SCRATCH", "/s"), ("HF_HOME", "$SCRATCH/a")], "/s/a/hub");
        check(&[("SCRATCH", "/s"), ("HF_HUB_CACHE", "${SCRATCH}/$MISSING/$/ä${")], "/s/$MISSING/$/ä${");
    }

    #[test]
    fn a_machine_without_a_home_needs_hf_home() {
        let without = |variables: &'static [(&str, &str)]| {
            let lookup = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            Settings::from_env(&lookup)
        };
        assert!(matches!(without(&[]), Err(Error::InvalidSetting { variable: "HOME", .. })));
        assert!(without(&[("HF_HOME", "/h")]).is_ok());
        assert_eq!(
            without(&[("USERPROFILE", "/u")]).expect("settings").cache,
            Path::new("/u/.cache/huggingface/hub")
        );
    }

    #[test]
    fn the_token_comes_from_the_first_place_that_has_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().to_str().expect("UTF-8");
        let token_file = folder.path().join("token");
        let other_file = folder.path().join("other");
        std::fs::write(&token_file, "hf_file\n").expect("written");
        std::fs::write(&other_file, "hf_other").expect("written");
        let other = other_file.to_str().expect("UTF-8");
        let check = |variables: &[(&str, &str)], expected: Option<TokenSource>| {
            let variables = [&[("HF_HOME", home)], variables].concat();
            assert_eq!(
                resolved(&variables).token.map(|token| token.source().clone()),
                expected,
                "{variables:?}"
            );
        };
        check(&[], Some(TokenSource::File(token_file)));
        check(&[("HF_TOKEN_PATH", other)], Some(TokenSource::File(other_file.clone())));
        check(&[("HF_TOKEN_PATH", "/nowhere/token")], None);
        check(&[("HUGGING_FACE_HUB_TOKEN", "b")], Some(TokenSource::Variable("HUGGING_FACE_HUB_TOKEN")));
        check(&[("HF_TOKEN", "a"), ("HUGGING_FACE_HUB_TOKEN", "b")], Some(TokenSource::Variable("HF_TOKEN")));
        check(
            &[("HF_TOKEN", "\n"), ("HUGGING_FACE_HUB_TOKEN", "b")],
            Some(TokenSource::Variable("HUGGING_FACE_HUB_TOKEN")),
        );
        check(&[("HF_TOKEN", "a"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "Yes")], None);
        assert!(matches!(
            settings(&[("HF_TOKEN_PATH", home)]),
            Err(Error::Store(mashbill_store::Error::Io { action: "read", .. }))
        ));
    }

    #[test]
    fn the_first_offline_variable_decides() {
        let check = |variables: &[(&str, &str)], expected| {
            assert_eq!(resolved(variables).offline, expected, "{variables:?}")
        };
        for value in ["1", "on", "Yes", "TRUE"] {
            check(&[("HF_HUB_OFFLINE", value)], true);
            check(&[("TRANSFORMERS_OFFLINE", value)], true);
        }
        check(&[("HF_HUB_OFFLINE", "no")], false);
        check(&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")], false);
        check(&[("HF_HUB_OFFLINE", ""), ("TRANSFORMERS_OFFLINE", "1")], true);
    }

    #[test]
    fn proxies_come_from_either_case() {
        let check = |variables: &[(&str, &str)], http: Option<&str>, https: Option<&str>| {
            let proxies = resolved(variables).proxies;
            let shown = |proxy: &Option<Proxy>| proxy.as_ref().map(ToString::to_string);
            assert_eq!(
                (shown(&proxies.http).as_deref(), shown(&proxies.https).as_deref()),
                (http, https),
                "{variables:?}"
            );
        };
        check(&[("HTTPS_PROXY", "http://s:1")], None, Some("http://s:1"));
        check(&[("https_proxy", "http://low:1"), ("HTTPS_PROXY", "http://up:1")], None, Some("http://low:1"));
        check(&[("https_proxy", ""), ("HTTPS_PROXY", "http://up:1")], None, None);
        check(&[("ALL_PROXY", "all:1"), ("http_proxy", "http://h:1")], Some("http://h:1"), Some("all:1"));
        assert_eq!(resolved(&[("no_proxy", "a.test, b.test")]).proxies.direct, ["a.test", "b.test"]);
    }

    #[test]
    fn a_value_that_makes_no_sense_is_an_error_without_secrets() {
        let check = |name, value, expected: &str| {
            let error = settings(&[(name, value)]).expect_err(name);
            assert_eq!(error.to_string(), expected);
        };
        check(
            "HF_ENDPOINT",
            "hub.test",
            "HF_ENDPOINT: `hub.test` does not begin with https:// or http:// and a host name",
        );
        check(
            "HF_ENDPOINT",
            "http://me:pw@h",
            "HF_ENDPOINT: `http://***@h` holds a user name; give a token instead",
        );
        for seconds in ["fast", "86401", "18446744073709551615"] {
            let expected =
                format!("HF_HUB_ETAG_TIMEOUT: `{seconds}` is not a number of whole seconds up to 86400");
            check("HF_HUB_ETAG_TIMEOUT", seconds, &expected);
        }
        check(
            "all_proxy",
            "socks5://me:pw@h",
            "all_proxy: `socks5://***@h` is not an http:// or https:// proxy, other kinds are not supported",
        );
    }

    #[test]
    fn settings_show_no_secret() {
        let variables = [("HF_TOKEN", "hf_secret"), ("HTTPS_PROXY", "http://me:hf_secret@proxy:1")];
        let shown = format!("{:?}", resolved(&variables));
        assert!(!shown.contains("hf_secret") && shown.contains("from HF_TOKEN"), "{shown}");
    }
}
