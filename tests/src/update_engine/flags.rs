//! The flags of `update_engine_client`, as its library reads them: one dash or two, `--flag=value` or `--flag value`, `--noflag`.

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the real tool, and any may be given with any"
)]
pub(super) struct Flags {
    pub(super) status: bool,
    pub(super) update: bool,
    pub(super) check_for_update: bool,
    pub(super) follow: bool,
    pub(super) watch_for_updates: bool,
    pub(super) reset_status: bool,
    pub(super) reboot: bool,
    pub(super) is_reboot_needed: bool,
    pub(super) last_attempt_error: bool,
    pub(super) prev_version: bool,
    /// Not the real tool's: what the real daemon does by itself.
    pub(super) attempt: bool,
    pub(super) help: bool,
    pub(super) omaha_url: String,
    pub(super) app_version: String,
}

pub(super) const HELP: &str = "\
Chromium OS Update Engine Client

  --app_version  (Force the current app version.)  type: string  default: \"\"
  --check_for_update  (Initiate check for updates.)  type: bool  default: false
  --follow  (Wait for any update operations to complete. Exit status is 0 if the update succeeded, and 1 otherwise.)  type: bool  default: false
  --help  (Show this help message)  type: bool  default: false
  --is_reboot_needed  (Exit status 0 if reboot is needed, 2 if reboot is not needed or 1 if an error occurred.)  type: bool  default: false
  --last_attempt_error  (Show the last attempt error.)  type: bool  default: false
  --omaha_url  (The URL of the Omaha update server.)  type: string  default: \"\"
  --prev_version  (Show the previous OS version used before the update reboot.)  type: bool  default: false
  --reboot  (Initiate a reboot if needed.)  type: bool  default: false
  --reset_status  (Sets the status in update_engine to idle.)  type: bool  default: false
  --status  (Print the status to stdout.)  type: bool  default: false
  --update  (Forces an update and waits for it to complete. Implies --follow.)  type: bool  default: false
  --watch_for_updates  (Listen for status updates and print them to the screen.)  type: bool  default: false";

impl Flags {
    pub(super) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut flags = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(bare) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                return Err(format!("'{word}' is no flag"));
            };
            let (name, given) = match bare.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (bare, None),
            };
            if let "omaha_url" | "app_version" = name {
                let value = given
                    .or_else(|| words.next())
                    .ok_or_else(|| format!("flag '{word}' is missing its argument"))?;
                if name == "omaha_url" {
                    flags.omaha_url = value;
                } else {
                    flags.app_version = value;
                }
                continue;
            }
            let (place, on) = match (flags.switch(name), name.strip_prefix("no")) {
                (Some(_), _) => (name, true),
                (None, Some(positive)) => (positive, false),
                (None, None) => return Err(format!("unknown command line flag '{name}'")),
            };
            let on = match given.as_deref() {
                None => on,
                Some("true" | "t" | "1" | "yes" | "y") => true,
                Some("false" | "f" | "0" | "no" | "n") => false,
                Some(other) => return Err(format!("illegal value '{other}' specified for bool flag '{name}'")),
            };
            *flags
                .switch(place)
                .ok_or_else(|| format!("unknown command line flag '{name}'"))? = on;
        }
        Ok(flags)
    }

    fn switch(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "status" => &mut self.status,
            "update" => &mut self.update,
            "check_for_update" => &mut self.check_for_update,
            "follow" => &mut self.follow,
            "watch_for_updates" => &mut self.watch_for_updates,
            "reset_status" => &mut self.reset_status,
            "reboot" => &mut self.reboot,
            "is_reboot_needed" => &mut self.is_reboot_needed,
            "last_attempt_error" => &mut self.last_attempt_error,
            "prev_version" => &mut self.prev_version,
            "attempt_in_this_process" => &mut self.attempt,
            "help" => &mut self.help,
            _ => return None,
        })
    }
}
