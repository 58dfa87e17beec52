//! Small specs for stories: packages that build in no time and say what a story needs of them.

/// A noarch package with one file, its name and version in it; `preamble` are more lines, such as `Requires: x`.
pub fn noarch(name: &str, version: &str, preamble: &str) -> String {
    spec(name, version, &format!("BuildArch: noarch\n{preamble}"))
}

/// The same for each architecture by itself.
pub fn per_arch(name: &str, version: &str, preamble: &str) -> String {
    // There is nothing in it that could be debugged.
    format!("%global debug_package %nil\n{}", spec(name, version, preamble))
}

fn spec(name: &str, version: &str, preamble: &str) -> String {
    let (version, release) = version.split_once('-').unwrap_or((version, "alt1"));
    format!(
        "Name: {name}\n\
         Version: {version}\n\
         Release: {release}\n\
         Summary: A package of a story\n\
         License: MIT\n\
         {preamble}\n\
         \n\
         %description\n\
         A package of a story.\n\
         \n\
         %install\n\
         mkdir -p %buildroot/usr/share/{name}\n\
         echo {name} {version}-{release} > %buildroot/usr/share/{name}/version\n\
         \n\
         %files\n\
         /usr/share/{name}\n"
    )
}
