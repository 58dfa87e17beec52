//! `windlass doctor`: finds every way in which hooks fail open, and what else is amiss; mends it.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;
use windlass_hooks::install::Installation;

use super::keys::counted;
use super::{Context, Run};
use crate::doctor::{self, Finding, Severity, Site, fix};
use crate::exit::Exit;
use crate::layout::{Accounts, beside};

/// Arguments of `windlass doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Looks at hooks and git's configuration, the ssh server and authorized_keys, users, directories and
files, people's keys, clock, disks and the journal. Run as root it sees everything. Exit code 1
while there is an error; warnings and notes do not count.

Examples:
  windlass doctor
  windlass doctor --fix            # mends what can be mended, then looks again
  windlass doctor --json | jq -r '.findings[].code'")]
pub struct Args {
    /// Mend what can be mended, look again, and tell what is left
    #[arg(long)]
    fix: bool,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// The machine's configuration: gitconfig and sshd's files below it
    #[arg(long, value_name = "DIR", default_value = "/etc")]
    etc: PathBuf,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let config = context.config()?;
        // Whether it is there is a finding, not a reason to look no further.
        let installation = Installation {
            program: beside("windlass-hook")?,
            config: std::path::absolute(&context.global.config)?,
            max_input_size: config.push.max_input_size,
        };
        let site = Site {
            accounts: Accounts::of(&config.users)?,
            config_file: std::path::absolute(&context.global.config)?,
            shell: beside("windlass-shell")?,
            etc: self.etc,
            now: Timestamp::now(),
            installation,
            config,
        };
        let mut findings = doctor::examine(&site);
        let (mut mended, mut failed) = (Vec::new(), Vec::new());
        if self.fix {
            // One thing mended may show another, or be another: directories first made, then filled.
            for _ in 0..3 {
                let (done, not) = mend(&site, &findings);
                failed = not;
                let nothing = done.is_empty();
                mended.extend(done);
                if nothing {
                    break;
                }
                findings = doctor::examine(&site);
            }
        }
        let worst = findings.iter().map(|finding| finding.severity).max();
        if self.json {
            context.output.json(&json!({
                "findings": findings,
                "mended": mended,
                "failed": failed.iter().map(|(code, why)| json!({"code": code, "why": why})).collect::<Vec<_>>(),
            }))?;
        } else {
            tell(context, &findings, &mended, &failed, self.fix)?;
        }
        Ok(if worst == Some(Severity::Error) {
            Exit::Failed
        } else {
            Exit::Done
        })
    }
}

/// What was mended: findings; what could not be: codes and reasons.
type Outcome = (Vec<Finding>, Vec<(&'static str, String)>);

fn mend(site: &Site, findings: &[Finding]) -> Outcome {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    let mut tried = Vec::new();
    for finding in findings {
        let Some(wanted) = &finding.fix else { continue };
        // One repository's hooks are installed once, whatever is wrong with them.
        let known = tried
            .iter()
            .find(|(other, _): &&(&fix::Fix, bool)| *other == wanted)
            .map(|(_, good)| *good);
        let good = known.unwrap_or_else(|| match fix::apply(wanted, site) {
            Ok(()) => true,
            Err(error) => {
                failed.push((finding.code, format!("{error:#}")));
                false
            }
        });
        tried.push((wanted, good));
        if good {
            done.push(finding.clone());
        }
    }
    (done, failed)
}

fn tell(
    context: &mut Context,
    findings: &[Finding],
    mended: &[Finding],
    failed: &[(&'static str, String)],
    fixing: bool,
) -> anyhow::Result<()> {
    for finding in mended {
        context
            .output
            .line(format!("mended   {} [{}]", finding.message, finding.code))?;
        context.output.line(format!("         was: {}", finding.value))?;
    }
    for (code, why) in failed {
        context.output.say(format!("windlass: not mended [{code}]: {why}"));
    }
    if !mended.is_empty() && !findings.is_empty() {
        context.output.line("")?;
    }
    for finding in findings {
        context.output.line(format!(
            "{:<8} {} [{}]",
            finding.severity.word(),
            finding.message,
            finding.code
        ))?;
        if !finding.value.is_empty() {
            context.output.line(format!("         {}", finding.value))?;
        }
        if !finding.mend.is_empty() {
            context.output.line(format!("         mend: {}", finding.mend))?;
        }
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let summary = if findings.is_empty() {
        "All is well.".to_owned()
    } else {
        format!(
            "{}, {}, {}.",
            counted(count(Severity::Error), "error"),
            counted(count(Severity::Warning), "warning"),
            counted(count(Severity::Note), "note")
        )
    };
    context.output.say(format!("\n{summary}"));
    let mendable = findings.iter().filter(|finding| finding.fix.is_some()).count();
    if mendable > 0 && !fixing {
        context
            .output
            .say(format!("\nhint: `windlass doctor --fix` mends {mendable} of them"));
    }
    Ok(())
}
