//! What makes dnf or zypper use a repository.

use std::fmt;

use windlass_core::id::{ArchName, RepositoryName};

/// For which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// dnf, yum, microdnf.
    Dnf,
    /// zypper, and what else is built on libzypp.
    Zypper,
}

/// How a client finds the newest generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A list that names one generation: whatever lands meanwhile, the client sees that one throughout.
    Mirrorlist,
    /// A plain base address, which always is the newest generation.
    Baseurl,
}

/// The configuration of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// The repository.
    pub repository: RepositoryName,
    /// Where clients find it, without the slash at the end.
    pub url: String,
    /// The client.
    pub program: Program,
    /// How it finds the newest generation.
    pub way: Way,
    /// For this architecture alone; otherwise for the client's own.
    pub arch: Option<ArchName>,
}

impl ClientConfig {
    /// What clients call the repository. Not its bare name: `[main]` is dnf's own section.
    pub fn id(&self) -> String {
        format!("windlass-{}", self.repository)
    }

    /// The options of the section, in their order.
    pub fn options(&self) -> Vec<(&'static str, String)> {
        let Self { repository, url, .. } = self;
        let arch = self.arch.as_ref().map_or("$basearch", ArchName::as_str);
        let place = match self.way {
            Way::Mirrorlist => ("mirrorlist", format!("{url}/mirrorlist?arch={arch}")),
            Way::Baseurl => ("baseurl", format!("{url}/current/{arch}/")),
        };
        let one = || "1".to_owned();
        let mut options = vec![
            ("name", format!("{repository} (Windlass)")),
            place,
            ("enabled", one()),
            ("gpgcheck", one()),
            ("repo_gpgcheck", one()),
            ("gpgkey", format!("{url}/key.asc")),
        ];
        match self.program {
            Program::Dnf => options.push(("metadata_expire", "300".to_owned())),
            Program::Zypper => options.extend([("autorefresh", one()), ("type", "rpm-md".to_owned())]),
        }
        options
    }
}

impl fmt::Display for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[{}]", self.id())?;
        for (key, value) in self.options() {
            writeln!(f, "{key}={value}")?;
        }
        Ok(())
    }
}
