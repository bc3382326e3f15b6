/**
 * What `trustConfig: false` overrides. A repository's config names programs, and its `hooks` folder holds some: whoever may write there
 * runs code as the server. Serving needs none of them.
 */

/** Hooks that a push may run (githooks(5)); git >= 2.54 also takes them from the config, one switch for each event. */
const EVENTS = [
  'pre-receive', 'update', 'post-receive', 'post-update', 'proc-receive', 'reference-transaction', 'push-to-checkout', 'post-index-change', 'pre-auto-gc'
]

/** Passed as `git -c key=value`, which is stronger than every config file. The host's own `git.config` is stronger still. */
export const DISTRUST_CONFIG: Readonly<Record<string, string>> = {
  // No file can be below a device. Refs of receive.procReceiveRefs have nobody to decide on them and are refused.
  'core.hooksPath': '/dev/null',
  ...Object.fromEntries(EVENTS.map((event) => [`hook.${event}.enabled`, 'false'])),
  'core.fsmonitor': 'false',
  // The same as without the setting (odb.c, fill_alternate_refs_command).
  'core.alternateRefsCommand': 'f() { git --git-dir="$1" for-each-ref "--format=%(objectname)"; }; f',
  // `updateInstead` checks out: filters and drivers run.
  'receive.denyCurrentBranch': 'refuse',
  // Maintenance runs what `gc.recentObjectsHook` and `maintenance.*` name.
  'receive.autogc': 'false',
  // Who verifies the certificate of a signed push (gpg-interface.c).
  'gpg.program': 'gpg',
  'gpg.openpgp.program': 'gpg',
  'gpg.x509.program': 'gpgsm',
  'gpg.ssh.program': 'ssh-keygen'
  // Not uploadpack.packObjectsHook: git takes it from the system's and the user's config only (upload-pack.c, upload_pack_protected_config).
}

/**
 * A repository may call itself a partial clone. git then fetches what is missing, by what `remote.*.url`, `remote.*.vcs`,
 * `core.sshCommand`, `core.gitProxy` and `credential.*` say: no transport is allowed, and older gits ask for none (git(1)).
 */
export const DISTRUST_ENVIRONMENT: Readonly<Record<string, string>> = { GIT_ALLOW_PROTOCOL: 'none', GIT_NO_LAZY_FETCH: '1' }
