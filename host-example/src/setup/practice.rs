//! The sandbox inside this program: a service on this machine that invents its answers, for a look without a key.

use plugin_api::Manifest;

use super::global::Global;
use super::reading::Chosen;
use crate::terminal::Failure;

#[cfg(not(feature = "sandbox"))]
use self::absent as with;
#[cfg(feature = "sandbox")]
use self::present as with;

/// The running sandbox; dropping it stops it.
pub type Service = with::Service;

/// Whether the sandbox can stand in for the plugin's service. An address in the profile would win over the sandbox's.
pub fn fits(manifest: &Manifest, chosen: Option<&Chosen>) -> bool {
    with::SERVICE == Some(manifest.id.as_str())
        && chosen.is_none_or(|chosen| chosen.profile.options.get("baseUrl").is_none())
}

/// Starts the sandbox on a free port.
///
/// - Out: the options of a run that uses it.
/// - Errors: it does not fit the plugin; this machine has no free port.
pub fn start(global: &Global, manifest: &Manifest, chosen: Option<&Chosen>) -> Result<(Global, Service), Failure> {
    if fits(manifest, chosen) {
        return with::start(global, manifest);
    }
    let message = format!(
        "the sandbox cannot stand in for the service of the plugin `{}`",
        manifest.id
    );
    Err(Failure::usage(message).with_hint("use a build with the sandbox, and a profile without `baseUrl`"))
}

#[cfg(feature = "sandbox")]
mod present {
    use plugin_api::{Manifest, Role};
    use sandbox::Sandbox;

    use super::super::global::Global;
    use super::super::protect::Secret;
    use crate::terminal::Failure;

    pub type Service = Sandbox;
    pub const SERVICE: Option<&str> = Some(sandbox::SERVICE);

    pub fn start(global: &Global, manifest: &Manifest) -> Result<(Global, Service), Failure> {
        let builder = Sandbox::builder().forgetful().without_replies();
        let service = builder.start().map_err(|cause| Failure::internal(cause.to_string()))?;
        let mut global = global.with_key(manifest, Secret::new(service.key().to_owned()), "the sandbox");
        let addresses = manifest
            .environment
            .iter()
            .filter(|variable| variable.role == Role::Endpoint);
        let addresses = addresses.map(|variable| (variable.name.clone(), Secret::new(service.base_url())));
        global.own.values.extend(addresses);
        Ok((global, service))
    }
}

#[cfg(not(feature = "sandbox"))]
mod absent {
    use plugin_api::Manifest;

    use super::super::global::Global;
    use crate::terminal::Failure;

    pub type Service = std::convert::Infallible;
    pub const SERVICE: Option<&str> = None;

    pub fn start(_global: &Global, _manifest: &Manifest) -> Result<(Global, Service), Failure> {
        Err(Failure::internal("this build has no sandbox"))
    }
}
