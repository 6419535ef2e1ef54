//! Where traces and metrics go, out of OpenTelemetry's own variables. Pure.

use hyper::Uri;

use crate::terminal::{Exit, Failure};

const BOTH: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Where they go; `None` for what is not sent.
#[derive(Debug, Default, PartialEq)]
pub struct Targets {
    pub traces: Option<Uri>,
    pub metrics: Option<Uri>,
}

/// What is sent, in the words of the variables.
struct Signal {
    path: &'static str,
    endpoint: &'static str,
    protocol: &'static str,
    exporter: &'static str,
}

const TRACES: Signal = Signal {
    path: "v1/traces",
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    exporter: "OTEL_TRACES_EXPORTER",
};

const METRICS: Signal = Signal {
    path: "v1/metrics",
    endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    exporter: "OTEL_METRICS_EXPORTER",
};

impl Targets {
    /// - Errors: an address that is none, or to which this program cannot send.
    pub fn find(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let is = |name: &str, word: &str| variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(word));
        if is("OTEL_SDK_DISABLED", "true") {
            return Ok(Self::default());
        }
        let target = |signal: Signal| {
            if is(signal.exporter, "none") {
                return Ok(None);
            }
            // The common address is a base to which a path is added; the specific ones are complete.
            let (name, address) = match (variable(signal.endpoint), variable(BOTH)) {
                (Some(address), _) => (signal.endpoint, address.trim().to_owned()),
                (None, Some(address)) => {
                    let folder = address.trim().trim_end_matches('/');
                    (BOTH, format!("{folder}/{}", signal.path))
                }
                (None, None) => return Ok(None),
            };
            for name in [signal.protocol, "OTEL_EXPORTER_OTLP_PROTOCOL"] {
                match variable(name).as_deref().map(str::trim) {
                    None => continue,
                    Some("http/protobuf") => break,
                    Some(other) => {
                        let message = format!("`{name}`: expected `http/protobuf`, found `{other}`");
                        return Err(refused(message)
                            .with_hint("use the collector's HTTP port, usually 4318; port 4317 is for gRPC"));
                    }
                }
            }
            checked(name, &address).map(Some)
        };
        Ok(Self {
            traces: target(TRACES)?,
            metrics: target(METRICS)?,
        })
    }

    /// Whether one collector gets both.
    pub fn have_one_collector(&self) -> bool {
        let place = |target: &Option<Uri>| target.as_ref().and_then(Uri::authority).cloned();
        place(&self.traces) == place(&self.metrics)
    }

    /// A sentence for people; `None` if nothing is sent.
    pub fn line(&self) -> Option<String> {
        match (&self.traces, &self.metrics) {
            (None, None) => None,
            (Some(traces), None) => Some(format!("traces go to {}", shown(traces))),
            (None, Some(metrics)) => Some(format!("metrics go to {}", shown(metrics))),
            (Some(traces), Some(metrics)) => {
                let (traces, metrics) = (shown(traces), shown(metrics));
                Some(format!("traces go to {traces}, metrics to {metrics}"))
            }
        }
    }
}

/// An address without its query, in which there may be a key.
pub fn shown(target: &Uri) -> String {
    let authority = target.authority().map_or("", |authority| authority.as_str());
    format!("http://{authority}{}", target.path())
}

/// The address is not quoted: somebody may have put a password into it.
fn checked(name: &str, address: &str) -> Result<Uri, Failure> {
    const EXAMPLE: &str = "such as `http://127.0.0.1:4318`";
    let target: Option<Uri> = address.parse().ok();
    let parts = target
        .as_ref()
        .and_then(|target| Some((target.scheme_str()?, target.authority()?)));
    let message = match parts {
        Some((_, authority)) if authority.as_str().contains('@') => {
            return Err(refused(format!("`{name}` contains a user name or password"))
                .with_hint("put credentials into `OTEL_EXPORTER_OTLP_HEADERS`"));
        }
        Some(("http", _)) => return target.ok_or_else(|| refused(format!("`{name}`: expected an address"))),
        Some(("https", _)) => {
            let message = format!("`{name}`: expected an `http` address, found `https`");
            return Err(refused(message).with_hint(format!(
                "use a collector on this machine that forwards traces and metrics, {EXAMPLE}"
            )));
        }
        _ => format!("`{name}`: expected the address of a collector, {EXAMPLE}"),
    };
    Err(refused(message).with_hint("to send nothing, set `OTEL_SDK_DISABLED=true`"))
}

fn refused(message: String) -> Failure {
    Failure::new(Exit::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line for these variables, or why not.
    fn line(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let targets = Targets::find(variable).map_err(|failure| failure.to_string())?;
        Ok(targets.line())
    }

    #[test]
    fn the_standard_variables_say_where_it_goes() {
        let ok = |line: &str| Ok(Some(line.to_owned()));
        let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        assert_eq!(line(&[]), Ok(None));
        assert_eq!(line(&[("OTEL_SERVICE_NAME", "x")]), Ok(None));
        assert_eq!(
            line(&[(BOTH, "http://c:4318"), ("OTEL_SDK_DISABLED", "TRUE")]),
            Ok(None)
        );
        let both = ok("traces go to http://c:4318/v1/traces, metrics to http://c:4318/v1/metrics");
        assert_eq!(line(&[(BOTH, "http://c:4318")]), both);
        assert_eq!(line(&[(BOTH, "http://c:4318/"), ("OTEL_SDK_DISABLED", "false")]), both);
        assert_eq!(
            line(&[(BOTH, "http://c/otlp/"), ("OTEL_METRICS_EXPORTER", "none")]),
            ok("traces go to http://c/otlp/v1/traces")
        );
        assert_eq!(
            line(&[(own, "http://[::1]:9/x?key=7")]),
            ok("traces go to http://[::1]:9/x")
        );
        assert_eq!(
            line(&[(own, "http://a"), (BOTH, "http://c")]),
            ok("traces go to http://a/, metrics to http://c/v1/metrics")
        );
        assert_eq!(
            line(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://a:1/m")]),
            ok("metrics go to http://a:1/m")
        );
    }

    #[test]
    fn an_address_to_which_nothing_can_be_sent_is_refused_unquoted() {
        assert_eq!(
            line(&[(BOTH, "https://secret.example.org")]),
            Err(
                "error: `OTEL_EXPORTER_OTLP_ENDPOINT`: expected an `http` address, found `https`\n\
                 hint: use a collector on this machine that forwards traces and metrics, such as `http://127.0.0.1:4318`"
                    .to_owned()
            )
        );
        assert_eq!(
            line(&[(BOTH, "http://me:secret@c:4318")]),
            Err(
                "error: `OTEL_EXPORTER_OTLP_ENDPOINT` contains a user name or password\n\
                 hint: put credentials into `OTEL_EXPORTER_OTLP_HEADERS`"
                    .to_owned()
            )
        );
        for bad in ["c", "c:4318", "secret", "//c", "ftp://c", "http://", "http://a b"] {
            assert_eq!(
                line(&[(BOTH, bad)]),
                Err(
                    "error: `OTEL_EXPORTER_OTLP_ENDPOINT`: expected the address of a collector, such as `http://127.0.0.1:4318`\n\
                     hint: to send nothing, set `OTEL_SDK_DISABLED=true`"
                        .to_owned()
                ),
                "{bad}"
            );
        }
        assert_eq!(
            line(&[(BOTH, "http://c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]),
            Err(
                "error: `OTEL_EXPORTER_OTLP_PROTOCOL`: expected `http/protobuf`, found `grpc`\n\
                 hint: use the collector's HTTP port, usually 4318; port 4317 is for gRPC"
                    .to_owned()
            )
        );
    }
}
