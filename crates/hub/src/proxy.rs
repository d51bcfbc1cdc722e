//! Which proxy, if any, a request goes through.
//!
//! The rules are those that curl and Python's clients share: one proxy a scheme,
//! and a list of hosts that are reached directly, their subdomains included. The
//! HTTP library has rules of its own, which differ, so the choice is made here for
//! each hop and the library is told the result. A proxy is always asked for a tunnel
//! (CONNECT), for http:// addresses too. Only http:// and https:// proxies are known.

use std::fmt;

use crate::url::{Origin, mask_userinfo};

/// The proxies to use; by default none.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For http:// addresses.
    pub http: Option<Proxy>,
    /// For https:// addresses.
    pub https: Option<Proxy>,
    /// Hosts to reach directly: `host`, `.domain` or `host:port` each with its subdomains, or `*`.
    pub direct: Vec<String>,
}

impl Proxies {
    /// The proxy on the way to `origin`; `None`: straight there.
    pub(crate) fn on_the_way_to(&self, origin: &Origin) -> Option<&Proxy> {
        let proxy = if origin.is_https() { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.direct.iter().any(|entry| covers(entry, origin)))
    }
}

/// The address of a proxy. `Debug` and `Display` mask its user name and password.
#[derive(Clone)]
pub struct Proxy {
    inner: ureq::Proxy,
    shown: String,
}

impl Proxy {
    /// The proxy at `address`: `http://host:port`, `https://…`, or without a scheme for http.
    ///
    /// # Errors
    /// What is wrong with it, user name and password masked.
    pub fn new(address: &str) -> Result<Self, String> {
        let address = address.trim();
        let shown = mask_userinfo(address);
        let inner =
            ureq::Proxy::new(address).map_err(|_| format!("`{shown}` is not the address of a proxy"))?;
        match inner.protocol() {
            ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https => Ok(Self { inner, shown }),
            _ => Err(format!("`{shown}` is not an http:// or https:// proxy, other kinds are not supported")),
        }
    }

    /// The proxy as the HTTP library knows it.
    pub(crate) fn inner(&self) -> &ureq::Proxy {
        &self.inner
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.shown)
    }
}

fn covers(entry: &str, origin: &Origin) -> bool {
    let entry = entry.trim().to_ascii_lowercase();
    if entry == "*" {
        return true;
    }
    let (domain, port) = match entry.rsplit_once(':') {
        Some((domain, port)) if !domain.ends_with(':') && port.parse::<u16>().is_ok() => {
            (domain, port.parse().ok())
        }
        _ => (entry.as_str(), None),
    };
    let domain = domain.trim_start_matches('*').trim_start_matches('.');
    let host = origin.host();
    let same = host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !domain.is_empty() && same && port.is_none_or(|port: u16| port == origin.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_the_list_are_reached_directly() {
        let check = |entry: &str, address: &str, direct: bool| {
            let origin = Origin::of(&address.parse().expect(address)).expect(address);
            let proxy = Proxy::new("http://proxy.test:3128").ok();
            let proxies = Proxies { http: proxy.clone(), https: proxy, direct: vec![entry.to_owned()] };
            assert_eq!(proxies.on_the_way_to(&origin).is_none(), direct, "{entry} {address}");
        };
        check("*", "https://hub.test", true);
        check("hub.test", "https://hub.test", true);
        check("HUB.test ", "https://hub.test", true);
        check("hub.test", "https://cdn.hub.test", true);
        check(".hub.test", "https://cdn.hub.test", true);
        check("*.hub.test", "https://cdn.hub.test", true);
        check("hub.test", "https://nothub.test", false);
        check("hub.test:443", "https://hub.test", true);
        check("hub.test:8443", "https://hub.test", false);
        check("127.0.0.1", "http://127.0.0.1:8080", true);
        check("", "https://hub.test", false);
        check(".", "https://hub.test", false);
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let proxies = Proxies { https: Proxy::new("proxy.test:3128").ok(), ..Proxies::default() };
        let origin = |text: &str| Origin::of(&text.parse().expect(text)).expect(text);
        assert!(proxies.on_the_way_to(&origin("https://hub.test")).is_some());
        assert!(proxies.on_the_way_to(&origin("http://hub.test")).is_none());
    }

    #[test]
    fn the_password_of_a_proxy_is_masked() {
        let proxy = Proxy::new("http://me:secret@proxy.test:3128").expect("a proxy");
        assert_eq!(proxy.to_string(), "http://***@proxy.test:3128");
        assert_eq!(format!("{proxy:?}"), "Proxy(http://***@proxy.test:3128)");
        for address in ["socks5://me:secret@proxy.test", "http://me:secret@", "http://me:sec ret@proxy.test"]
        {
            let why = Proxy::new(address).expect_err(address);
            assert!(!why.contains("sec") && !why.contains("me:"), "{why}");
        }
    }
}
