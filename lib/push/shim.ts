/** What the shim finds the repository's own hooks by: a folder, as git would name it where it runs hooks. */
export const OWN_HOOKS: string = 'FASTIFY_GIT_HTTP_OWN_HOOKS'

/**
 * The script that git runs in place of every hook, for any POSIX shell. It starts no process of its own but `cat`, and only
 * where the hook has input.
 *
 * Descriptor 3 leads to the server. The shim writes fields that end in NUL, which neither an environment nor a ref name can
 * hold (see hook-records.ts); the server answers with lines: `m` and a text for the pusher, `y` to go on, anything else to
 * refuse. A server that is gone refuses.
 */
export const SHIM: string = `#!/bin/sh
shim_hook=\${0##*/}
shim_own=$${OWN_HOOKS}/$shim_hook
unset ${OWN_HOOKS}

# Whatever git the repository's own hook runs, it must not meet this folder.
shim_config=" $GIT_CONFIG_PARAMETERS"
shim_ours=" 'core.hooksPath'='\${0%/*}'"
case $shim_config in *"$shim_ours"*)
  shim_config=\${shim_config%%"$shim_ours"*}\${shim_config#*"$shim_ours"}
  GIT_CONFIG_PARAMETERS=\${shim_config# } ;;
esac

shim_tell () {
  {
    printf '%s\\000' "$shim_hook"
    for shim_name in GIT_DIR GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_QUARANTINE_PATH \\
      GIT_PUSH_CERT GIT_PUSH_CERT_SIGNER GIT_PUSH_CERT_KEY GIT_PUSH_CERT_STATUS \\
      GIT_PUSH_CERT_NONCE GIT_PUSH_CERT_NONCE_STATUS GIT_PUSH_CERT_NONCE_SLOP GIT_PUSH_OPTION_COUNT
    do
      eval "[ -z \\"\\\${$shim_name+x}\\" ] || printf '%s=%s\\\\000' $shim_name \\"\\$$shim_name\\""
    done
    shim_i=0
    while [ "$shim_i" -lt "\${GIT_PUSH_OPTION_COUNT:-0}" ]; do
      eval "printf 'GIT_PUSH_OPTION_%s=%s\\\\000' $shim_i \\"\\$GIT_PUSH_OPTION_$shim_i\\""
      shim_i=$((shim_i + 1))
    done
    printf '\\000%s\\000' "$shim_commands"
  } >&3
}

shim_answer () {
  while IFS= read -r shim_line <&3; do
    case $shim_line in
      m*) printf '%s\\n' "\${shim_line#m}" >&2 ;;
      y) return 0 ;;
      *) return 1 ;;
    esac
  done
  return 1
}

shim_run_own () {
  [ -x "$shim_own" ] || return 0
  printf 'begin\\000%s\\000%s\\000' "$shim_hook" "$$" >&3
  "$shim_own" "$@" 3>&-
  shim_code=$?
  printf 'end\\000' >&3
  return $shim_code
}

case $shim_hook in
  pre-receive)
    shim_commands=$(cat)
    shim_tell
    shim_answer || exit 1
    shim_run_own <<END
$shim_commands
END
    exit ;;
  post-receive)
    shim_commands=$(cat)
    shim_run_own <<END
$shim_commands
END
    shim_tell
    shim_answer
    exit 0 ;;
  update)
    printf 'update\\000%s\\000' "$1" >&3
    shim_answer || exit 1 ;;
esac
shim_run_own "$@"
`
