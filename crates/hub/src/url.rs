//! Addresses: the endpoint, what is asked of it, and where a redirect leads.
//!
//! The part that matters is [`Origin`]: scheme, host and port together decide
//! whether a token may be sent. Redirects are resolved here and followed by hand,
//! so that this decision is taken anew at each hop.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use ureq::http::Uri;

use crate::repo::{Commit, RepoId, Revision};

/// The address of a Hub: `https://huggingface.co`, or a mirror's, with a path if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    base: String,
    origin: Origin,
}

impl Endpoint {
    /// The scheme, host and port to which a token may be sent.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The endpoint itself.
    pub(crate) fn root(&self) -> Uri {
        format!("{}/", self.base).parse().expect("a checked endpoint is an address")
    }

    /// The page of a repository, where access to it is asked for.
    pub(crate) fn page(&self, repo: &RepoId) -> String {
        format!("{}/{}{repo}", self.base, repo.kind().prefix())
    }

    /// The address that describes a repository at a revision.
    pub(crate) fn info(&self, repo: &RepoId, revision: &Revision) -> Uri {
        let revision = quote(revision.as_str());
        self.address(format!("/api/{}/{repo}/revision/{revision}", repo.kind().plural()))
    }

    /// The address of the first page of a commit's files, those below `folder` if it is not empty.
    pub(crate) fn tree(&self, repo: &RepoId, commit: &Commit, folder: &str) -> Uri {
        let kind = repo.kind().plural();
        // The folder is quoted whole, its slashes included: so the Hub wants it.
        let folder = if folder.is_empty() { String::new() } else { format!("/{}", quote(folder)) };
        self.address(format!("/api/{kind}/{repo}/tree/{commit}{folder}?recursive=true&expand=false"))
    }

    /// The address of a next page on this endpoint. A mirror may hand on the Hub's own, which would lead
    /// past the mirror; `None` where it is no address of the API.
    pub(crate) fn next_page(&self, link: &str) -> Option<Uri> {
        let api = link.find("/api/")?;
        format!("{}{}", self.base, &link[api..]).parse().ok()
    }

    fn address(&self, rest: String) -> Uri {
        (self.base.clone() + &rest).parse().expect("a checked endpoint with quoted parts is an address")
    }

    /// The address that gives a file or says where it lies. The revision is quoted whole, the path part by part.
    pub(crate) fn resolve(&self, repo: &RepoId, revision: &Revision, file: &str) -> Uri {
        let prefix = repo.kind().prefix();
        let mut address = format!("/{prefix}{repo}/resolve/{}", quote(revision.as_str()));
        for part in file.split('/') {
            address.push('/');
            address.push_str(&quote(part));
        }
        self.address(address)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    /// The error says what is wrong, user name and password masked.
    fn from_str(text: &str) -> Result<Self, String> {
        let base = text.trim().trim_end_matches('/');
        let masked = mask_userinfo(base);
        let shown = masked.split(['?', '#']).next().unwrap_or_default();
        let address: Uri = base.parse().map_err(|_| format!("`{shown}` is not an address"))?;
        let origin = Origin::of(&address)
            .ok_or_else(|| format!("`{shown}` does not begin with https:// or http:// and a host name"))?;
        if address.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(format!("`{shown}` holds a user name; give a token instead"));
        }
        if base.contains(['?', '#']) {
            return Err(format!("`{shown}` has a part after `?` or `#`"));
        }
        Ok(Self { base: base.to_owned(), origin })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

/// Scheme, host and port of a server: what may see a token, and all that is shown of a redirect's target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an address; `None` if it is not http or https or has no host.
    pub(crate) fn of(address: &Uri) -> Option<Self> {
        let https = match address.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = address.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
        let port = match address.port() {
            Some(port) => port.as_str().parse().ok()?,
            None => default_port(https),
        };
        Some(Self { https, host, port })
    }

    pub(crate) fn is_https(&self) -> bool {
        self.https
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.host)?;
        if self.port != default_port(self.https) {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Where a `Location` header leads from `base`; `None` if it is not an address of http or https.
pub(crate) fn follow(base: &Uri, location: &str) -> Option<Uri> {
    let scheme = base.scheme_str()?;
    let authority = base.authority()?.as_str();
    let has_scheme = location.split(['/', '?', '#']).next().is_some_and(|head| head.contains(':'));
    let address = if has_scheme {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let address: Uri = address.parse().ok()?;
    let named = address.authority()?.as_str().contains('@');
    (!named && Origin::of(&address).is_some()).then_some(address)
}

/// Quotes all but the characters that never need it, `/` included.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            write!(quoted, "%{byte:02X}").expect("a String takes any text");
        }
    }
    quoted
}

/// Hides what may be a user name and a password: all between `://` and the last `@`.
pub(crate) fn mask_userinfo(address: &str) -> String {
    let Some((secret, rest)) = address.rsplit_once('@') else { return address.to_owned() };
    let scheme = secret.find("://").map_or("", |end| &secret[..end + 3]);
    format!("{scheme}***@{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().expect(text)
    }

    #[test]
    fn an_address_quotes_revision_and_file() {
        let repo = "org/name".parse().expect("an id");
        let check = |revision: &str, file, expected| {
            let address =
                endpoint("https://hub.test/hf/").resolve(&repo, &revision.parse().expect("a revision"), file);
            assert_eq!(address.to_string(), expected);
        };
        check("main", "tokenizer.json", "https://hub.test/hf/org/name/resolve/main/tokenizer.json");
        check(
            "refs/pr/1",
            "a b/ä.json",
            "https://hub.test/hf/org/name/resolve/refs%2Fpr%2F1/a%20b/%C3%A4.json",
        );
    }

    #[test]
    fn addresses_of_the_api_quote_whole_parts() {
        let hub = endpoint("https://hub.test/hf");
        let repo = RepoId::dataset("org/name").expect("an id");
        let revision = "refs/convert/parquet".parse().expect("a revision");
        let commit = Commit::parse(&"a".repeat(40)).expect("a commit");
        let api = "https://hub.test/hf/api/datasets/org/name";
        assert_eq!(
            hub.info(&repo, &revision).to_string(),
            format!("{api}/revision/refs%2Fconvert%2Fparquet")
        );
        assert_eq!(
            hub.tree(&repo, &commit, "a b/c").to_string(),
            format!("{api}/tree/{commit}/a%20b%2Fc?recursive=true&expand=false")
        );
        assert_eq!(
            hub.tree(&repo, &commit, "").to_string(),
            format!("{api}/tree/{commit}?recursive=true&expand=false")
        );
        assert_eq!(hub.page(&repo), "https://hub.test/hf/datasets/org/name");
        let next = "https://huggingface.co/api/datasets/org/name/tree/x?cursor=a%3D";
        assert_eq!(
            hub.next_page(next).expect("an address"),
            "https://hub.test/hf/api/datasets/org/name/tree/x?cursor=a%3D"
        );
        assert_eq!(hub.next_page("https://elsewhere.test/other"), None);
    }

    #[test]
    fn a_wrong_endpoint_is_refused_without_showing_secrets() {
        for text in
            ["", "hf-mirror.com", "ftp://hub.test", "https://", "https://hub.test/?a=b", "https://hub test"]
        {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
        for text in ["https://user:secret@hub.test", "user:secret@hub.test", "http://user:se#secret@hub.test"]
        {
            let why = text.parse::<Endpoint>().expect_err(text);
            assert!(!why.contains("secret") && why.contains("***@hub.test"), "{why}");
        }
    }

    #[test]
    fn origins_differ_in_scheme_host_or_port() {
        let origin = |text: &str| Origin::of(&text.parse().expect(text)).expect(text);
        let hub = origin("https://hub.test/a");
        assert_eq!(hub, origin("HTTPS://Hub.Test:443/b?c"));
        for other in
            ["http://hub.test", "https://hub.test:444", "https://cdn.hub.test", "http://hub.test:443"]
        {
            assert_ne!(hub, origin(other), "{other}");
        }
        assert_eq!(hub.to_string(), "https://hub.test");
        assert_eq!(origin("http://127.0.0.1:8080/a").to_string(), "http://127.0.0.1:8080");
    }

    #[test]
    fn locations_are_resolved_against_the_address_they_came_from() {
        let base: Uri = "https://hub.test:8443/a/b?c=d".parse().expect("an address");
        let check = |location, expected: Option<&str>| {
            assert_eq!(follow(&base, location).map(|uri| uri.to_string()).as_deref(), expected, "{location}");
        };
        check("https://cdn.test/x?sig=1", Some("https://cdn.test/x?sig=1"));
        check("/x/y?to=a:b", Some("https://hub.test:8443/x/y?to=a:b"));
        check("x", Some("https://hub.test:8443/a/x"));
        check("//cdn.test/x", Some("https://cdn.test/x"));
        check("file:///etc/passwd", None);
        check("ftp://cdn.test/x", None);
        check("https://user@cdn.test/x", None);
        check("https://", None);
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(text in any::<String>()) {
            let base: Uri = "https://hub.test/a".parse().expect("an address");
            let _ = text.parse::<Endpoint>();
            if let Some(target) = follow(&base, &text) {
                prop_assert!(Origin::of(&target).is_some());
            }
        }

        #[test]
        fn masking_leaves_nothing_of_the_secret(secret in "[a-z:/@]{0,8}SECRET[a-z:/@]{0,8}") {
            let masked = mask_userinfo(&format!("http://{secret}@host:1"));
            prop_assert!(!masked.contains("SECRET"), "{}", masked);
        }
    }
}
