//! Plugins and hosts built from the commits of earlier releases work with each other and with this version.
//!
//! This needs the history and some minutes, so only `.ci/run` and `cargo test --workspace --test releases` run it. The
//! suites hold the same promise without a history: by the layout, the vocabulary and plugins of future versions.

use tests::versions::{Built, RELEASE, VersionSources};

/// Each release, and the last commit of its version.
const RELEASES: [(&str, &str); 3] = [
    ("1.0.0", "faf3634713bd016bd9e6f14efd9b0a4fc7d809a8"),
    ("1.1.0", "1c808e9c78d579a8312153e013f9dbf666f78356"),
    ("1.2.0", "48f5ac9b1b2d7d58bd39b9aa4ce4892cc1a11219"),
];

#[test]
fn plugins_and_hosts_of_every_release_work_together() {
    let mut all = Vec::from(RELEASES.map(|(version, commit)| {
        let label = format!("{RELEASE}{}", version.replace('.', "-"));
        let sources = VersionSources::of_commit(&label, commit).unwrap_or_else(|cause| {
            panic!(
                "the commit of release {version} is not in this checkout: {cause}\n\
                 hint: `git fetch --unshallow` in a shallow clone; a source archive has no history"
            )
        });
        sources.build(version)
    }));
    all.push(Built::of_this_version());
    for plugin in &all {
        for host in &all {
            assert_eq!(host.run_with(plugin), host.expected_with(plugin));
        }
    }
}
