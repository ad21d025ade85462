//! A grep for secrets over everything that a fleet leaves lying about.

use crate::fleet::{Fleet, Form};
use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use kubelab::Lab;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Something that may hold a secret, all of it.
pub struct Place {
    /// What it is.
    pub name: String,
    /// What it holds.
    pub content: Vec<u8>,
}

/// What to look for. Findings name what and where, never the secret.
#[derive(Default)]
pub struct Needles {
    words: Vec<(String, Vec<u8>)>,
}

impl Needles {
    /// A seed in every form that a program could let slip: raw, hexadecimal in both cases, base64.
    pub fn seed(&mut self, what: &str, seed: &[u8; 32]) {
        let hex: String = seed.iter().map(|b| format!("{b:02x}")).collect();
        // As text is encoded, also inside something longer; the last characters depend on what follows.
        let base64 = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes).into_bytes();
        let mut add = |form: &str, word: Vec<u8>| self.words.push((format!("{what}, {form}"), word));
        add("raw", seed.to_vec());
        add("base64", base64(&seed[..30]));
        add("base64 of its hexadecimal digits", base64(&hex.as_bytes()[..63]));
        add("base64 of its hexadecimal digits after 0x", base64(&[b"0x", &hex.as_bytes()[..61]].concat()));
        add("HEXADECIMAL", hex.to_uppercase().into_bytes());
        add("hexadecimal", hex.into_bytes());
    }

    /// A launch token; its signature stands for it.
    pub fn token(&mut self, what: &str, token: &str) {
        let signature = token.rsplit('.').next().unwrap_or(token);
        self.words.push((format!("{what}, its signature"), signature.as_bytes().to_vec()));
    }

    /// Whatever of this is in the places, and whatever looks like a launch token of the validator.
    #[must_use]
    pub fn find(&self, places: &[Place]) -> Vec<String> {
        let mut found = BTreeSet::new();
        for place in places {
            for what in self.find_in(&place.content).into_iter().chain(launch_tokens(&place.content)) {
                found.insert(format!("{}: {what}", place.name));
            }
        }
        found.into_iter().collect()
    }

    fn find_in(&self, content: &[u8]) -> BTreeSet<String> {
        let mut starts = [false; 256];
        for (_, word) in &self.words {
            starts[usize::from(word[0])] = true;
        }
        let mut found = BTreeSet::new();
        for (at, byte) in content.iter().enumerate() {
            if starts[usize::from(*byte)] {
                let here = self.words.iter().filter(|(_, word)| content[at..].starts_with(word));
                found.extend(here.map(|(what, _)| what.clone()));
            }
        }
        found
    }
}

/// Launch tokens by their shape, as they are or as a Secret's data shows them. Service accounts' tokens have another issuer.
fn launch_tokens(content: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for word in content.split(|b| !(b.is_ascii_alphanumeric() || b"-_.+/=".contains(b))) {
        let Ok(word) = std::str::from_utf8(word) else { continue };
        if word.find("eyJ").is_some_and(|at| is_launch_token(&word[at..])) {
            found.insert("a launch token".to_owned());
        }
        let decoded = word.find("ZXlK").and_then(|at| {
            let text = &word[at..].trim_end_matches('=');
            STANDARD_NO_PAD.decode(text).ok()
        });
        if decoded.and_then(|bytes| String::from_utf8(bytes).ok()).is_some_and(|text| is_launch_token(&text)) {
            found.insert("a launch token in base64".to_owned());
        }
    }
    found
}

fn is_launch_token(word: &str) -> bool {
    let Some(claims) = word.split('.').nth(1) else { return false };
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(claims) else { return false };
    serde_json::from_slice::<serde_json::Value>(&bytes).is_ok_and(|claims| claims["iss"] == "chutes")
}

/// A token that looks like a launch token and opens nothing.
#[must_use]
pub fn canary_token() -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"HS256"}"#), part(r#"{"iss":"chutes","sub":"canary"}"#), part("a canary's signature"))
}

/// What may hold a launch token, which these places therefore do not include.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Except {
    /// Secrets only.
    Secrets,
    /// Secrets, and on the node cluster Jobs and their pods: a sealed worker leaves no other way.
    SecretsAndJobs,
}

impl Fleet {
    /// The launch tokens of this moment, from the only place for them.
    ///
    /// # Errors
    /// When the API server refuses.
    pub fn launch_tokens(&self) -> Result<Vec<String>> {
        let secrets = self.get(&["secrets", "-A", "-l", "chutes/config-id"])?;
        let tokens = secrets["items"].as_array().into_iter().flatten().filter_map(|secret| {
            let bytes = STANDARD.decode(secret["data"]["token"].as_str()?).ok()?;
            String::from_utf8(bytes).ok()
        });
        Ok(tokens.collect())
    }

    /// The seed of the miner's hotkey.
    ///
    /// # Errors
    /// When its file is gone.
    pub fn seed(&self) -> Result<[u8; 32]> {
        let file: serde_json::Value = serde_json::from_slice(&std::fs::read(&self.facts.hotkey_file)?)?;
        let digits = file["secretSeed"].as_str().context("a seed")?.trim_start_matches("0x");
        let mut seed = [0; 32];
        for (at, byte) in seed.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2).context("64 digits")?, 16)?;
        }
        Ok(seed)
    }

    /// Everything that our programs write or cause to be written, but for what is excepted.
    ///
    /// # Errors
    /// When a place cannot be read.
    pub fn places(&self, pod_logs: &Path, except: Except) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        for folder in [self.dir.join("logs"), self.dir.join("agent"), self.dir.join("miner-api"), pod_logs.to_owned()] {
            files(&folder, &mut places)?;
        }
        self.cluster("control", &self.control, Except::Secrets, &mut places)?;
        if self.facts.form == Form::Own {
            self.cluster("node", &self.node, except, &mut places)?;
        }
        places.push(Place { name: "Postgres".to_owned(), content: output(Command::new("pg_dump").arg(&self.facts.database_url))? });
        // Rows that were removed since still lie in its files.
        files(&self.dir.join("postgres"), &mut places)?;
        places.push(Place { name: "Redis".to_owned(), content: self.redis()? });
        Ok(places)
    }

    fn cluster(&self, name: &str, lab: &Lab, except: Except, places: &mut Vec<Place>) -> Result<()> {
        let kinds = lab.kubectl_run(["api-resources", "--verbs=list", "-o", "name"])?;
        let skipped: &[&str] = match except {
            Except::Secrets => &["secrets"],
            Except::SecretsAndJobs => &["secrets", "jobs.batch", "pods"],
        };
        let kinds: Vec<&str> = kinds.lines().filter(|kind| !skipped.contains(kind)).collect();
        let content = output(lab.kubectl().args(["get", "-A", "-o", "json", "--show-managed-fields", &kinds.join(",")]))?;
        places.push(Place { name: format!("objects of the {name} cluster"), content });
        places.push(Place { name: format!("audit log of the {name} cluster"), content: std::fs::read(&lab.audit_log)? });
        Ok(())
    }

    /// Every key's value as Redis would hand it to another server, uncompressed.
    fn redis(&self) -> Result<Vec<u8>> {
        let ask = |args: &[&str]| output(Command::new("redis-cli").args(["-u", &self.facts.redis_url]).args(args));
        ask(&["config", "set", "rdbcompression", "no"])?;
        let keys = ask(&["--scan"])?;
        let mut all = keys.clone();
        for key in String::from_utf8_lossy(&keys).lines() {
            all.extend(ask(&["dump", key])?);
        }
        Ok(all)
    }
}

fn files(folder: &Path, places: &mut Vec<Place>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, places)?;
        } else if path.is_file()
            && let Ok(content) = std::fs::read(&path)
        {
            places.push(Place { name: path.display().to_string(), content });
        }
    }
    Ok(())
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("running {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!("{}: {}", command.get_program().display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(needles: &Needles, content: &[u8]) -> usize {
        needles.find(&[Place { name: "here".to_owned(), content: content.to_vec() }]).len()
    }

    #[test]
    fn a_seed_is_found_in_every_form_and_nothing_else_is() {
        let seed: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 7 + 1).unwrap_or(0));
        let mut needles = Needles::default();
        needles.seed("the seed", &seed);
        let hex: String = seed.iter().map(|b| format!("{b:02x}")).collect();
        let forms = [seed.to_vec(), format!("seed=0x{hex}").into_bytes(), hex.to_uppercase().into_bytes()];
        let encoded = [STANDARD.encode(seed), STANDARD.encode(&hex), STANDARD.encode(format!("0x{hex}"))];
        for form in forms.into_iter().chain(encoded.map(String::into_bytes)) {
            assert_eq!(found(&needles, &[b"a log line ".as_slice(), &form, b"\n"].concat()), 1, "{:?}", String::from_utf8_lossy(&form));
        }
        assert_eq!(found(&needles, hex.replace('1', "2").as_bytes()), 0);
    }

    #[test]
    fn launch_tokens_are_told_from_those_of_service_accounts() {
        let needles = Needles::default();
        let token = canary_token();
        assert_eq!(found(&needles, format!("token={token} rest").as_bytes()), 1);
        assert_eq!(found(&needles, format!(r#""token":"{}""#, STANDARD.encode(&token)).as_bytes()), 1);
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let other = format!("{}.{}.sig", part(r#"{"alg":"RS256"}"#), part(r#"{"iss":"https://kubernetes.default.svc"}"#));
        assert_eq!(found(&needles, other.as_bytes()), 0);
    }

    #[test]
    fn a_known_token_is_found_by_a_part_of_it() {
        let mut needles = Needles::default();
        needles.token("the token", "aaaa.bbbb.the-signature");
        assert_eq!(found(&needles, b"...the-signature"), 1);
    }
}
