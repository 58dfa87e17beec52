-- What was decided. Rows are only ever added, numbered without a gap; `hash` covers the row and the hash before it.
CREATE TABLE journal (
    seq     INTEGER PRIMARY KEY,
    batch   INTEGER NOT NULL REFERENCES journal (seq),  -- the first row of the decision
    at      TEXT    NOT NULL,                           -- RFC 3339, UTC
    version INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    body    TEXT    NOT NULL,                           -- JSON
    hash    BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TRIGGER journal_only_next BEFORE INSERT ON journal
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM journal)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: the next row has the next number'); END;

CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: a row never changes'); END;

CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: a row never goes'); END;

-- Projections from here on: made from the rows above, thrown away and made again at will.

-- Which version of the code made them, up to which row.
CREATE TABLE projection (
    name    TEXT    PRIMARY KEY,
    version INTEGER NOT NULL,
    seq     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was answered to a request: the row that says so.
CREATE TABLE answer (
    request TEXT    PRIMARY KEY,
    seq     INTEGER NOT NULL REFERENCES journal (seq)
) STRICT, WITHOUT ROWID;

-- The rows that concern a task.
CREATE TABLE task_row (
    task    INTEGER NOT NULL,
    seq     INTEGER NOT NULL REFERENCES journal (seq),
    PRIMARY KEY (task, seq)
) STRICT, WITHOUT ROWID;

-- The newest fold of the journal's beginning.
CREATE TABLE snapshot (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    hash    BLOB    NOT NULL,
    body    TEXT    NOT NULL
) STRICT;
