//! As much of a shell as `sh -c "curl -f http://127.0.0.1:8001/_alive || exit 1"` needs: words, quotes,
//! `||`, `&&`, `;`, redirection to nothing. Everything else is refused rather than guessed.

use std::process::{Command, Stdio};

const USAGE: u8 = 2;
const NOT_FOUND: u8 = 127;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Always,
    OnSuccess,
    OnFailure,
}

#[derive(Debug, PartialEq, Eq)]
struct Step {
    link: Link,
    words: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Link(Link),
}

/// What a step did.
enum Done {
    Status(u8),
    Exit(u8),
}

/// `sh -c SCRIPT`.
pub(crate) fn main(args: &[String]) -> u8 {
    let [flag, script, ..] = args else {
        eprintln!("sh: only -c SCRIPT is understood");
        return USAGE;
    };
    if flag != "-c" {
        eprintln!("sh: only -c SCRIPT is understood");
        return USAGE;
    }
    match steps(script) {
        Ok(steps) => run(steps),
        Err(why) => {
            eprintln!("sh: {why}");
            USAGE
        }
    }
}

fn run(steps: Vec<Step>) -> u8 {
    let mut status = 0;
    for step in steps {
        let skip = match step.link {
            Link::Always => false,
            Link::OnSuccess => status != 0,
            Link::OnFailure => status == 0,
        };
        if skip {
            continue;
        }
        match command(step.words, status) {
            Done::Status(code) => status = code,
            Done::Exit(code) => return code,
        }
    }
    status
}

fn command(mut words: Vec<String>, last: u8) -> Done {
    let quiet = words.iter().any(|word| word == ">/dev/null");
    words.retain(|word| !matches!(word.as_str(), ">/dev/null" | "2>/dev/null" | "2>&1"));
    let Some((name, args)) = words.split_first() else {
        return Done::Status(0);
    };
    Done::Status(match name.as_str() {
        "exit" => return Done::Exit(args.first().and_then(|code| code.parse().ok()).unwrap_or(last)),
        "true" | ":" => 0,
        "false" => 1,
        "echo" => {
            println!("{}", args.join(" "));
            0
        }
        "curl" if quiet => crate::curl::main(&[args, &["-o".to_owned(), "/dev/null".to_owned()]].concat()),
        applet => crate::applet(applet, args).unwrap_or_else(|| spawn(applet, args, quiet)),
    })
}

fn spawn(name: &str, args: &[String], quiet: bool) -> u8 {
    let mut command = Command::new(name);
    command.args(args);
    if quiet {
        command.stdout(Stdio::null());
    }
    match command.status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(128),
        Err(why) => {
            eprintln!("sh: {name}: {why}");
            NOT_FOUND
        }
    }
}

fn steps(script: &str) -> Result<Vec<Step>, String> {
    let mut steps = vec![Step { link: Link::Always, words: Vec::new() }];
    for token in tokens(script)? {
        match token {
            Token::Link(link) => steps.push(Step { link, words: Vec::new() }),
            Token::Word(word) => steps.last_mut().expect("there is always a step").words.push(word),
        }
    }
    let dangling = |(index, step): (usize, &Step)| step.words.is_empty() && (step.link != Link::Always || steps.get(index + 1).is_some());
    if steps.iter().enumerate().any(dangling) {
        return Err("an operator lacks its command".to_owned());
    }
    Ok(steps)
}

fn tokens(script: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        let link = match c {
            '|' if chars.next_if_eq(&'|').is_some() => Some(Link::OnFailure),
            '&' if word.as_deref() == Some("2>") => {
                word.get_or_insert_default().push(c);
                continue;
            }
            '&' if chars.next_if_eq(&'&').is_some() => Some(Link::OnSuccess),
            ';' | '\n' => Some(Link::Always),
            '|' | '&' | '`' | '(' | ')' | '<' | '$' | '*' | '?' => return Err(format!("{c} is not understood")),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => return Err(format!("a {c} is not closed")),
                        Some(end) if end == c => break,
                        Some('$' | '`') if c == '"' => return Err("expansion is not understood".to_owned()),
                        Some(inner) => word.push(inner),
                    }
                }
                continue;
            }
            c if c.is_whitespace() => {
                // `> /dev/null` is one word for us.
                if !matches!(word.as_deref(), Some(">" | "2>")) {
                    tokens.extend(word.take().map(Token::Word));
                }
                continue;
            }
            c => {
                word.get_or_insert_default().push(c);
                continue;
            }
        };
        tokens.extend(word.take().map(Token::Word));
        tokens.extend(link.map(Token::Link));
    }
    tokens.extend(word.map(Token::Word));
    let redirected = |token: &Token| matches!(token, Token::Word(word) if word.contains('>') && !["2>&1", ">/dev/null", "2>/dev/null"].contains(&word.as_str()));
    if tokens.iter().any(redirected) {
        return Err("only redirection to /dev/null is understood".to_owned());
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> u8 {
        main(&["-c".to_owned(), script.to_owned()])
    }

    #[test]
    fn links_follow_the_status_before_them() {
        assert_eq!(sh("false || exit 3"), 3);
        assert_eq!(sh("true || exit 3"), 0);
        assert_eq!(sh("true && exit 4; exit 5"), 4);
        assert_eq!(sh("false && exit 4; exit 5"), 5);
        assert_eq!(sh("false"), 1);
        assert_eq!(sh("echo 'a || b' > /dev/null 2>&1 || exit 2"), 0);
        assert_eq!(sh("true;"), 0);
    }

    #[test]
    fn the_probe_fails_with_one_when_nobody_listens() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        assert_eq!(sh(&format!("curl -f -s http://{free}/_alive || exit 1")), 1);
    }

    #[test]
    fn what_it_does_not_understand_it_refuses() {
        for bad in ["cat < file", "echo $HOME", "a | b", "a &", "echo \"x", "echo a >file", "|| exit 1", "true &&"] {
            assert_eq!(sh(bad), USAGE, "{bad}");
        }
        assert_eq!(sh("no-such-program-anywhere"), NOT_FOUND);
    }
}
