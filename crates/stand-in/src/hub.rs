//! The Hub's own origin: what it says of repositories, and small files.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::content::HashedContent;
use crate::fault::Fault;
use crate::http::{Answer, Request, form};
use crate::repo::{Access, Repo, RepoFiles, RepoType};
use crate::shared::Shared;
use crate::site::User;
use crate::store;

/// The pages of a list that is asked for with all details are short.
const EXPANDED_PAGE_SIZE: usize = 50;

/// Who asks.
#[derive(Clone, Copy)]
enum Asker<'a> {
    Stranger,
    Known(&'a User),
}

pub(crate) fn answer(shared: &Shared, request: &Request, fault: Option<&Fault>) -> Answer {
    let parts = request.parts();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let bucket = if parts.first() == Some(&"api") { "api" } else { "resolvers" };
    let (quota, window) = (shared.site.quota, shared.site.window);
    let left = shared.windows().count(bucket, quota, window);
    let answer = if left.granted {
        granted(shared, request, &parts, fault)
    } else {
        error(429, None, "You have reached the rate limit.")
    };
    answer
        .header("RateLimit", format!("\"{}\";r={};t={}", left.bucket, left.requests, left.seconds))
        .header("RateLimit-Policy", format!("\"fixed window\";\"{bucket}\";q={quota};w={}", window.as_secs()))
        .header("X-Request-Id", "Root=1-stand-in")
}

fn granted(shared: &Shared, request: &Request, parts: &[&str], fault: Option<&Fault>) -> Answer {
    let token = request.header("authorization").map(|value| value.trim_start_matches("Bearer ").trim());
    let user = token.map(|token| shared.site.users.iter().find(|user| user.token == token));
    let asker = match user {
        None => Asker::Stranger,
        Some(Some(user)) => Asker::Known(user),
        Some(None) => return error(401, None, "Invalid credentials in Authorization header"),
    };
    match parts {
        ["api", "whoami-v2"] => match asker {
            Asker::Known(user) => Answer::json(&json!({"type": "user", "name": user.name, "orgs": []})),
            Asker::Stranger => error(401, None, "Invalid username or password."),
        },
        ["api", "datasets", rest @ ..] => api(shared, request, RepoType::Dataset, rest, asker),
        ["api", "models", rest @ ..] => api(shared, request, RepoType::Model, rest, asker),
        ["datasets", rest @ ..] => resolve(shared, request, RepoType::Dataset, rest, asker, fault),
        rest => resolve(shared, request, RepoType::Model, rest, asker, fault),
    }
}

/// `{id}[/revision/{rev} | /tree/{rev}[/{folder}] | /paths-info/{rev} | /refs]`
fn api(shared: &Shared, request: &Request, kind: RepoType, parts: &[&str], asker: Asker<'_>) -> Answer {
    const VERBS: [&str; 4] = ["revision", "tree", "paths-info", "refs"];
    let split = (1..parts.len().min(3)).find(|&at| VERBS.contains(&parts[at])).unwrap_or(parts.len());
    let (id, rest) = parts.split_at(split);
    let repo = match find(shared, request, kind, &id.join("/"), asker) {
        Ok(repo) => repo,
        Err(answer) => return answer,
    };
    if rest == ["refs"] {
        return refs(&repo);
    }
    let (verb, revision, path) = match rest {
        [] => ("revision", "main", &[][..]),
        [verb, revision, path @ ..] => (*verb, *revision, path),
        _ => return error(404, None, "Not Found"),
    };
    let Some((commit, files)) = repo.at(revision) else { return no_revision(revision) };
    let answer = match verb {
        "tree" => tree(shared, request, &files, &path.join("/")),
        "paths-info" => paths_info(request, &files),
        _ => Answer::json(&info(&repo, &commit, &files)),
    };
    answer.header("X-Repo-Commit", commit)
}

/// `{id}/resolve/{rev}/{path}`
fn resolve(
    shared: &Shared,
    request: &Request,
    kind: RepoType,
    parts: &[&str],
    asker: Asker<'_>,
    fault: Option<&Fault>,
) -> Answer {
    let Some(at) = parts.iter().position(|part| *part == "resolve").filter(|at| parts.len() > at + 2) else {
        return error(404, None, "Not Found");
    };
    let (id, revision, path) = (parts[..at].join("/"), parts[at + 1], parts[at + 2..].join("/"));
    let repo = match find(shared, request, kind, &id, asker) {
        Ok(repo) => repo,
        Err(answer) => return answer,
    };
    if let (Access::Gated, false) = (repo.access, trusted(asker)) {
        let status = if matches!(asker, Asker::Stranger) { 401 } else { 403 };
        let why = format!(
            "Access to {} {id} is restricted.",
            if kind == RepoType::Dataset { "dataset" } else { "model" }
        );
        return error(status, Some("GatedRepo"), &why);
    }
    let Some((commit, files)) = repo.at(revision) else { return no_revision(revision) };
    let answer = match files.get(&path) {
        None => error(404, Some("EntryNotFound"), "Entry not found"),
        Some(entry) if entry.large => Answer::new(302, b"Found. Redirecting".to_vec())
            .header("Location", store::sign(shared, &entry.sha256))
            .header("X-Linked-Etag", format!("\"{}\"", entry.sha256))
            .header("X-Linked-Size", entry.size.to_string())
            .header("Accept-Ranges", "bytes"),
        Some(entry) => Answer::file(request, &entry.content, entry.size, fault)
            .header("ETag", format!("\"{}\"", entry.oid))
            .header("Content-Type", "text/plain; charset=utf-8"),
    };
    answer.header("X-Repo-Commit", commit)
}

/// The repository, if the asker may know of it.
fn find(
    shared: &Shared,
    request: &Request,
    kind: RepoType,
    id: &str,
    asker: Asker<'_>,
) -> Result<Arc<Repo>, Answer> {
    let missing = || {
        let status = if matches!(asker, Asker::Stranger) { 401 } else { 404 };
        error(status, Some("RepoNotFound"), "Repository not found")
    };
    let repo = shared.repo(kind, id).ok_or_else(missing)?;
    if let Some(now) = &repo.moved_to {
        let location = request.target.replacen(id, now, 1);
        return Err(Answer::new(307, Vec::new()).header("Location", location));
    }
    match repo.access {
        Access::Private if !trusted(asker) => Err(missing()),
        Access::Disabled => Err(error(403, None, "Access to this resource is disabled.")),
        _ => Ok(repo),
    }
}

fn trusted(asker: Asker<'_>) -> bool {
    matches!(asker, Asker::Known(user) if user.trusted)
}

fn info(repo: &Repo, commit: &str, files: &RepoFiles) -> Value {
    let tags: Vec<String> = repo.license.iter().map(|license| format!("license:{license}")).collect();
    let siblings: Vec<Value> = files.keys().map(|path| json!({"rfilename": path})).collect();
    json!({
        "_id": &commit[..24],
        "id": repo.id,
        "author": repo.id.split_once('/').map(|(author, _)| author),
        "sha": commit,
        "lastModified": "2026-11-22T00:00:00.000Z",
        "createdAt": "2026-11-22T00:00:00.000Z",
        "private": repo.access == Access::Private,
        "gated": if repo.access == Access::Gated { json!("auto") } else { json!(false) },
        "disabled": repo.access == Access::Disabled,
        "downloads": 0,
        "likes": 0,
        "tags": tags,
        "cardData": {"license": repo.license, "configs": repo.configs},
        "siblings": siblings,
    })
}

fn refs(repo: &Repo) -> Answer {
    let mut branches = Vec::new();
    let mut converts = Vec::new();
    for (branch, commit) in repo.branches() {
        match branch.strip_prefix("refs/convert/") {
            Some(name) => converts.push(json!({"name": name, "ref": branch, "targetCommit": commit})),
            None => {
                let full = format!("refs/heads/{branch}");
                branches.push(json!({"name": branch, "ref": full, "targetCommit": commit}));
            }
        }
    }
    Answer::json(&json!({"branches": branches, "converts": converts, "tags": []}))
}

/// The files and folders below a folder, page by page.
fn tree(shared: &Shared, request: &Request, files: &RepoFiles, folder: &str) -> Answer {
    let is_set = |name| request.query(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let mut entries = BTreeMap::new();
    for (path, entry) in files {
        let Some(below) = path.strip_prefix(&prefix) else { continue };
        for (at, _) in below.match_indices('/') {
            let path = &path[..prefix.len() + at];
            entries.insert(path, json!({"type": "directory", "oid": entry.oid, "size": 0, "path": path}));
        }
        entries.insert(path, described(path, entry));
    }
    if entries.is_empty() && !folder.is_empty() {
        return error(404, Some("EntryNotFound"), &format!("{folder} does not exist"));
    }
    if !is_set("recursive") {
        entries.retain(|path, _| !path[prefix.len()..].contains('/'));
    }
    let page_size = shared.site.page_size.max(1);
    let page_size = if is_set("expand") { page_size.min(EXPANDED_PAGE_SIZE) } else { page_size };
    let cursor: usize = request.query("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let all = entries.len();
    let page: Vec<Value> = entries.into_values().skip(cursor).take(page_size).collect();
    let end = cursor + page.len();
    let answer = Answer::json(&Value::Array(page));
    if end >= all {
        return answer;
    }
    let base = shared.site.link_base.as_deref().unwrap_or_else(|| shared.hub_address());
    let target = request.target.split("&cursor=").next().unwrap_or_default();
    let joint = if target.contains('?') { "" } else { "?" };
    answer.header("Link", format!("<{base}{target}{joint}&cursor={end}>; rel=\"next\""))
}

fn paths_info(request: &Request, files: &RepoFiles) -> Answer {
    let body = String::from_utf8_lossy(&request.body);
    let paths: Vec<String> = match serde_json::from_str::<Value>(&body) {
        Ok(json) => json["paths"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|path| path.as_str().map(str::to_owned))
            .collect(),
        Err(_) => form(&body).into_iter().filter(|(key, _)| key == "paths").map(|(_, path)| path).collect(),
    };
    let found = paths.iter().filter_map(|path| Some(described(path, files.get(path)?)));
    Answer::json(&Value::Array(found.collect()))
}

fn described(path: &str, entry: &HashedContent) -> Value {
    let mut value = json!({"type": "file", "oid": entry.oid, "size": entry.size, "path": path});
    if entry.large {
        value["lfs"] = json!({"oid": entry.sha256, "size": entry.size, "pointerSize": entry.pointer_size()});
    }
    value
}

fn no_revision(revision: &str) -> Answer {
    error(404, Some("RevisionNotFound"), &format!("Invalid rev id: {revision}"))
}

fn error(status: u16, code: Option<&str>, message: &str) -> Answer {
    let answer = Answer::new(status, json!({"error": message}).to_string().into_bytes())
        .header("Content-Type", "application/json")
        .header("X-Error-Message", message);
    match code {
        Some(code) => answer.header("X-Error-Code", code),
        None => answer,
    }
}
