//! As much of curl as probes use: GET over plain http, `-f -s -S -o -m`, and its exit codes.

use std::{io::Write, time::Duration};

use ureq::Agent;

/// curl's exit codes.
const USAGE: u8 = 2;
const RESOLVE: u8 = 6;
const REFUSED: u8 = 7;
const HTTP_ERROR: u8 = 22;
const WRITE: u8 = 23;
const TIMEOUT: u8 = 28;
const RECEIVE: u8 = 56;

#[derive(Debug, Default, PartialEq)]
struct Options {
    fail: bool,
    silent: bool,
    show_errors: bool,
    output: Option<String>,
    seconds: Option<f64>,
    url: String,
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = |flag: &str| args.next().cloned().ok_or_else(|| format!("option {flag}: requires parameter"));
        match arg.as_str() {
            "--fail" => options.fail = true,
            "--silent" => options.silent = true,
            "--show-error" => options.show_errors = true,
            "-o" | "--output" => options.output = Some(value(arg)?),
            "-m" | "--max-time" => options.seconds = Some(value(arg)?.parse().map_err(|_| "expected a number of seconds".to_owned())?),
            flags if flags.starts_with('-') && !flags.starts_with("--") && flags.len() > 1 => {
                for flag in flags[1..].chars() {
                    match flag {
                        'f' => options.fail = true,
                        's' => options.silent = true,
                        'S' => options.show_errors = true,
                        other => return Err(format!("option -{other}: is unknown")),
                    }
                }
            }
            flag if flag.starts_with('-') => return Err(format!("option {flag}: is unknown")),
            url if options.url.is_empty() => options.url = url.to_owned(),
            _ => return Err("one url only".to_owned()),
        }
    }
    if !options.url.starts_with("http://") {
        return Err("an http:// url is needed".to_owned());
    }
    Ok(options)
}

/// Fetches a url. The exit code is curl's.
pub(crate) fn main(args: &[String]) -> u8 {
    let options = match parse(args) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("curl: {why}");
            return USAGE;
        }
    };
    match fetch(&options) {
        Ok(()) => 0,
        Err((code, why)) => {
            if !options.silent || options.show_errors {
                eprintln!("curl: ({code}) {why}");
            }
            code
        }
    }
}

fn fetch(options: &Options) -> Result<(), (u8, String)> {
    let timeout = options.seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or(Duration::from_secs(60));
    let agent: Agent = Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout)).proxy(None).build().into();
    let mut response = agent.get(&options.url).call().map_err(|why| (code(&why), why.to_string()))?;
    let status = response.status().as_u16();
    if options.fail && status >= 400 {
        return Err((HTTP_ERROR, format!("The requested URL returned error: {status}")));
    }
    let body = response.body_mut().read_to_vec().map_err(|why| (code(&why), why.to_string()))?;
    let written = match &options.output {
        Some(path) => std::fs::write(path, &body),
        None => std::io::stdout().write_all(&body).and_then(|()| std::io::stdout().flush()),
    };
    written.map_err(|why| (WRITE, why.to_string()))
}

fn code(why: &ureq::Error) -> u8 {
    match why {
        ureq::Error::Timeout(_) => TIMEOUT,
        ureq::Error::HostNotFound => RESOLVE,
        ureq::Error::ConnectionFailed => REFUSED,
        ureq::Error::Io(why) if why.kind() == std::io::ErrorKind::ConnectionRefused => REFUSED,
        _ => RECEIVE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn flags_stand_alone_or_together() {
        let options = parse(&args("-fsS -m 2 -o /dev/null http://127.0.0.1:1/_alive")).expect("good");
        assert!(options.fail && options.silent && options.show_errors);
        assert_eq!((options.seconds, options.output.as_deref()), (Some(2.0), Some("/dev/null")));
        assert_eq!(
            options,
            parse(&args("--fail -s --show-error --max-time 2 --output /dev/null http://127.0.0.1:1/_alive")).expect("good")
        );
    }

    #[test]
    fn what_it_cannot_do_it_refuses() {
        for bad in ["", "-f", "-X POST http://a", "https://a", "http://a http://b", "http://a -m", "--http2 http://a"] {
            assert!(parse(&args(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_listening_is_exit_seven() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        assert_eq!(main(&args(&format!("-f -s http://{free}/_alive"))), REFUSED);
    }
}
