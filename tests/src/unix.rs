//! Unix users of a world's own: made by `windlass init`, removed when the world ends.

use crate::process::Cmd;

/// The git user and the bot user of a server.
#[derive(Debug)]
pub struct Accounts {
    /// Runs sshd's forced command and the hooks.
    pub git: String,
    /// Runs the bot.
    pub bot: String,
}

impl Accounts {
    /// Names that no other story uses at the same time.
    pub fn named_after_this_process() -> Self {
        let id = std::process::id();
        Self {
            git: format!("wlg{id}"),
            bot: format!("wlb{id}"),
        }
    }
}

impl Drop for Accounts {
    fn drop(&mut self) {
        for user in [&self.bot, &self.git] {
            let _ = Cmd::new("userdel").arg(user).run();
        }
        for group in [&self.bot, &self.git] {
            let _ = Cmd::new("groupdel").args(["-f", group]).run();
        }
    }
}
