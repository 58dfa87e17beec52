//! The examples at the end of each help text. Tests parse every one of them.

pub(super) const ALL: &str = "\
Examples:
  build hello 1.0-alt1                  build a tag of one's own repository 'hello'
  task new                              or step by step: a task,
  task add repo hello 1.0-alt1          what is in it,
  task run                              and go
  task why                              why does it wait?

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the environment is broken (the bot is away).";

pub(super) const BUILD: &str = "\
Examples:
  build hello 1.0-alt1
  build -b sisyphus libfoo 2.1-alt1 shared/bar 0.9-alt3
  build --test-only hello 1.1-alt1";

pub(super) const ACL: &str = "\
Examples:
  acl sisyphus hello show
  acl sisyphus hello add bob @perl
  acl sisyphus hello leader bob
  acl sisyphus hello leader @nobody     an orphan: whoever builds it becomes its leader
  acl sisyphus @perl replace alice bob  the leader first";

pub(super) const CHECK: &str = "\
Examples:
  check hello 1.0-alt1
  check --json bob/hello 1.0-alt1";

pub(super) const INIT_REPO: &str = "\
Examples:
  init-repo hello";

pub(super) const PUSHERS: &str = "\
Examples:
  pushers hello show
  pushers hello add bob carol";

pub(super) const JOB_LS: &str = "\
Examples:
  job ls
  job ls --state=failed,retrying
  job ls --task=7 --json";

pub(super) const JOB_SHOW: &str = "\
Examples:
  job show 3
  job show 3 --log
  job show 3 --json";

pub(super) const JOB_BUILD: &str = "\
Examples:
  job build web                         an image
  job build kiosk                       a payload
  job build web --dry-run";

pub(super) const JOB_RETRY: &str = "\
Examples:
  job retry 3";

pub(super) const JOB_CANCEL: &str = "\
Examples:
  job cancel 3";

pub(super) const DEVICE_LS: &str = "\
Examples:
  device ls
  device ls --tag=canary,arm --health=bad,looping
  device ls --board=kiosk --json";

pub(super) const DEVICE_SHOW: &str = "\
Examples:
  device show kiosk-1
  device show kiosk-1 --json";

pub(super) const DEVICE_HISTORY: &str = "\
Examples:
  device history kiosk-1
  device history kiosk-1 --limit=100 --json";

pub(super) const DEVICE_WHY: &str = "\
Examples:
  device why kiosk-1
  device why                            all of them";

pub(super) const DEVICE_RESERVE: &str = "\
Examples:
  device reserve kiosk-1 --for 2h -m 'the touch screen flickers'";

pub(super) const DEVICE_RELEASE: &str = "\
Examples:
  device release kiosk-1";

pub(super) const DEVICE_QUARANTINE: &str = "\
Examples:
  device quarantine kiosk-1 -m 'its disk reports errors'";

pub(super) const DEVICE_HEALTH: &str = "\
Examples:
  device health kiosk-1                 how is it?
  device health kiosk-1 good -m 'has a new disk'
  device health kiosk-1 maintenance -m 'on the bench'";

pub(super) const DEVICE_NIGHTLY: &str = "\
Examples:
  device nightly ls
  device nightly run arm";

pub(super) const DEVICE_NIGHTLY_LS: &str = "\
Examples:
  device nightly ls --json";

pub(super) const DEVICE_NIGHTLY_RUN: &str = "\
Examples:
  device nightly run arm
  device nightly run arm --dry-run      which devices would that be?";

pub(super) const TASK_NEW: &str = "\
Examples:
  task new
  task new sisyphus";

pub(super) const TASK_ADD: &str = "\
Examples:
  task add repo hello 1.0-alt1          to one's newest task
  task add 7 repo shared/libfoo.git 2.1-alt1
  task add 7 del libold libolder
  task add 7 rebuild python3-module-foo
  task add 7 copy libfoo p11";

pub(super) const TASK_DELSUB: &str = "\
Examples:
  task delsub 2                         of one's newest task
  task delsub 7 2";

pub(super) const TASK_SHOW: &str = "\
Examples:
  task show
  task show 7 --json
  task show r-0123456789abcdef          the task that this request made";

pub(super) const TASK_LS: &str = "\
Examples:
  task ls
  task ls --state=failed,eperm --user=alice
  task ls --repository=sisyphus --json";

pub(super) const TASK_RUN: &str = "\
Examples:
  task run
  task run 7 --test-only
  task run 7 --commit                   land what was tested
  task run 7 -m 'nothing uses it since 2019'";

pub(super) const TASK_SHARE: &str = "\
Examples:
  task share
  task share 7 off";

pub(super) const TASK_DEPS: &str = "\
Examples:
  task deps show
  task deps 7 add 5 6
  task deps 7 clear";

pub(super) const TASK_APPROVE: &str = "\
Examples:
  task approve 7 1 -m 'agreed with the maintainer'
  task approve 7 all -m 'looks good'
  task approve 7 1 --revoke";

pub(super) const TASK_DISAPPROVE: &str = "\
Examples:
  task disapprove 7 1 -m 'breaks the ABI of libfoo'
  task disapprove 7 all --revoke";

pub(super) const TASK_ABORT: &str = "\
Examples:
  task abort 7";

pub(super) const TASK_RM: &str = "\
Examples:
  task rm 7";

pub(super) const TASK_WHY: &str = "\
Examples:
  task why
  task why 7 --json";

pub(super) const TASK_LOG: &str = "\
Examples:
  task log
  task log 7 --follow
  task log 7 --stage build --arch x86_64";

pub(super) const TASK_WAIT: &str = "\
Examples:
  task wait
  task wait 7";
