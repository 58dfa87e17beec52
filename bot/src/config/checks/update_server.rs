//! What no single key of `[update_server]` can say.

use std::collections::HashSet;

use windlass_core::escape::escaped;

use super::Checker;
use crate::config::Config;
use crate::devices::server::Label;

impl Checker<'_> {
    pub(super) fn update_server(&mut self, config: &Config) {
        let server = &config.update_server;
        let nobody = [
            ("max_connections", server.max_connections == 0),
            ("timeout", server.timeout.as_secs() == 0),
            ("bandwidth", server.bandwidth.is_some_and(|size| size.bytes() == 0)),
        ];
        for (key, _) in nobody.into_iter().filter(|(_, is_zero)| *is_zero) {
            let message = format!("'{key}' is 0: nobody could be served");
            self.wrong(&["update_server", key], message, "");
        }
        let mut seen = HashSet::new();
        for (at, offer) in server.offers.iter().enumerate() {
            let at = at.to_string();
            let place = |key| ["update_server", "offer", at.as_str(), key];
            for (key, path) in [("payload", Some(&offer.payload)), ("stateful", offer.stateful.as_ref())] {
                if let Some(path) = path.filter(|path| path.is_relative()) {
                    let message = format!("'{key}' is no absolute path: '{}'", path.display());
                    self.wrong(&place(key), message, "");
                }
            }
            if offer.version.is_empty() || offer.version.chars().any(char::is_control) {
                let message = format!("'{}' is no version", escaped(&offer.version));
                self.wrong(&place("version"), message, "");
            }
            if let Some(board) = &offer.board
                && board.parse::<Label>().is_err()
            {
                let message = format!("'{}' is no name of a board", escaped(board));
                let hint = "letters, digits, '.', '_' and '-', not beginning with a dot";
                self.wrong(&place("board"), message, hint);
            }
            if !seen.insert(&offer.board) {
                let message = match &offer.board {
                    Some(board) => format!("two offers are for the board '{}'", escaped(board)),
                    None => "two offers are for every board".to_owned(),
                };
                self.wrong(&place("payload"), message, "one of them is never served: take it away");
            }
        }
    }
}
