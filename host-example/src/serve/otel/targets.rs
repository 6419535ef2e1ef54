//! Where traces and metrics go, out of OpenTelemetry's own variables. Pure.

use hyper::Uri;

use crate::terminal::Failure;

const BOTH: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Where they go; `None` for what is not sent.
#[derive(Debug, Default, PartialEq)]
pub struct Targets {
    pub traces: Option<Uri>,
    pub metrics: Option<Uri>,
}

impl Targets {
    /// - Errors: an address that is none, or to which this program cannot send.
    pub fn find(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let is = |name: &str, word: &str| variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(word));
        if is("OTEL_SDK_DISABLED", "true") {
            return Ok(Self::default());
        }
        let target = |signal: &str, path: &str| {
            if is(&format!("OTEL_{signal}_EXPORTER"), "none") {
                return Ok(None);
            }
            let endpoint = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
            let protocol = format!("OTEL_EXPORTER_OTLP_{signal}_PROTOCOL");
            // The common address is a base to which a path is added; the specific ones are complete.
            let (name, address) = match (variable(&endpoint), variable(BOTH)) {
                (Some(address), _) => (endpoint.as_str(), address.trim().to_owned()),
                (None, Some(address)) => {
                    let folder = address.trim().trim_end_matches('/');
                    (BOTH, format!("{folder}/{path}"))
                }
                (None, None) => return Ok(None),
            };
            for name in [protocol.as_str(), "OTEL_EXPORTER_OTLP_PROTOCOL"] {
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
            traces: target("TRACES", "v1/traces")?,
            metrics: target("METRICS", "v1/metrics")?,
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
    Failure::usage(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line for variables after `OTEL_`, such as `SDK_DISABLED=true`, or why not.
    fn line(variables: &str) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            let mut set = variables.split(' ').filter_map(|variable| variable.split_once('='));
            let found = set.find(|(set, _)| Some(*set) == name.strip_prefix("OTEL_"));
            found.map(|(_, value)| value.replace('␠', " "))
        };
        let targets = Targets::find(variable).map_err(|failure| failure.to_string())?;
        Ok(targets.line())
    }

    /// Variables for [`line`], and the line.
    const ROWS: &str = "
EXPORTER_OTLP_ENDPOINT=http://c:4318 → traces go to http://c:4318/v1/traces, metrics to http://c:4318/v1/metrics
EXPORTER_OTLP_ENDPOINT=http://c:4318/ SDK_DISABLED=false → traces go to http://c:4318/v1/traces, metrics to http://c:4318/v1/metrics
EXPORTER_OTLP_ENDPOINT=http://c/otlp/ METRICS_EXPORTER=none → traces go to http://c/otlp/v1/traces
EXPORTER_OTLP_TRACES_ENDPOINT=http://[::1]:9/x?key=7 → traces go to http://[::1]:9/x
EXPORTER_OTLP_TRACES_ENDPOINT=http://a EXPORTER_OTLP_ENDPOINT=http://c → traces go to http://a/, metrics to http://c/v1/metrics
EXPORTER_OTLP_METRICS_ENDPOINT=http://a:1/m → metrics go to http://a:1/m
";

    #[test]
    fn the_standard_variables_say_where_it_goes() {
        for (variables, expected) in ROWS.lines().filter_map(|row| row.split_once(" → ")) {
            assert_eq!(line(variables), Ok(Some(expected.to_owned())), "{variables}");
        }
        for nothing in [
            "",
            "SERVICE_NAME=x",
            "EXPORTER_OTLP_ENDPOINT=http://c:4318 SDK_DISABLED=TRUE",
        ] {
            assert_eq!(line(nothing), Ok(None), "{nothing}");
        }
    }

    #[test]
    fn an_address_to_which_nothing_can_be_sent_is_refused_unquoted() {
        let refused = |address: &str, protocol: &str, expected: &str| {
            let found = line(&format!(
                "EXPORTER_OTLP_ENDPOINT={address} EXPORTER_OTLP_PROTOCOL={protocol}"
            ));
            assert_eq!(
                found,
                Err(format!("error: `OTEL_EXPORTER_OTLP_{expected}")),
                "{address}"
            );
        };
        let http = "http/protobuf";
        let https = "ENDPOINT`: expected an `http` address, found `https`\n\
                     hint: use a collector on this machine that forwards traces and metrics, such as `http://127.0.0.1:4318`";
        refused("https://secret.example.org", http, https);
        let user = "ENDPOINT` contains a user name or password\n\
                    hint: put credentials into `OTEL_EXPORTER_OTLP_HEADERS`";
        refused("http://me:secret@c:4318", http, user);
        let none = "ENDPOINT`: expected the address of a collector, such as `http://127.0.0.1:4318`\n\
                    hint: to send nothing, set `OTEL_SDK_DISABLED=true`";
        for bad in ["c", "c:4318", "secret", "//c", "ftp://c", "http://", "http://a␠b"] {
            refused(bad, http, none);
        }
        let grpc = "PROTOCOL`: expected `http/protobuf`, found `grpc`\n\
                    hint: use the collector's HTTP port, usually 4318; port 4317 is for gRPC";
        refused("http://c:4317", "grpc", grpc);
    }
}
