/**
 * Every error that this plugin creates, in one place. The message of a 4xx error is
 * written for the person who runs git and is sent as `text/plain`, because git prints
 * such a body as `remote:` lines (git's remote-curl.c, show_http_message). Messages of
 * 5xx errors never carry a path of the server.
 */
import createError, { type FastifyErrorConstructor } from '@fastify/error'

type GitHttpError<Code extends string, Arguments extends unknown[] = []> =
  FastifyErrorConstructor<{ code: Code }, Arguments>

const constructors: Function[] = []

function define<Code extends string, Arguments extends unknown[]> (code: Code, message: string, statusCode: number): GitHttpError<Code, Arguments> {
  const constructor = createError<Code, Arguments>(code, message, statusCode)
  constructors.push(constructor)
  return constructor as GitHttpError<Code, Arguments>
}

/** An option failed its check at registration. Arguments: the option's name, what it must be. */
export const InvalidOptionError: GitHttpError<'FST_GIT_INVALID_OPTION', [string, string]> =
  define('FST_GIT_INVALID_OPTION', 'fastify-git-http: option \'%s\' %s', 500)

/** The access file cannot be used. Arguments: file, line (from 1; 0 for the file itself), reason. */
export const AccessFileError: GitHttpError<'FST_GIT_ACCESS_FILE', [string, number, string]> =
  define('FST_GIT_ACCESS_FILE', '%s:%d: %s', 500)

/** The operation is refused to an anonymous client; sent with a challenge, so that git asks for credentials. */
export const AuthenticationRequiredError: GitHttpError<'FST_GIT_AUTHENTICATION_REQUIRED'> =
  define('FST_GIT_AUTHENTICATION_REQUIRED', 'Authentication required', 401)

/** The credentials are malformed or wrong. Always 401: it makes git drop what its credential helper stored. */
export const BadCredentialsError: GitHttpError<'FST_GIT_BAD_CREDENTIALS'> =
  define('FST_GIT_BAD_CREDENTIALS', 'Invalid user name or password', 401)

/** The known user, or anybody where no authentication is configured, may not do this. */
export const ForbiddenError: GitHttpError<'FST_GIT_FORBIDDEN'> =
  define('FST_GIT_FORBIDDEN', 'You may not do this with this repository', 403)

/** {@link GitHttpOptions.authorize} refused with a reason of its own. Argument: the reason. */
export const RefusedError: GitHttpError<'FST_GIT_REFUSED', [string]> =
  define('FST_GIT_REFUSED', '%s', 403)

/** There is no such repository, or this client must not learn that there is one. */
export const RepositoryNotFoundError: GitHttpError<'FST_GIT_REPOSITORY_NOT_FOUND'> =
  define('FST_GIT_REPOSITORY_NOT_FOUND', 'Repository not found', 404)

/** The repository has no such file; ordinary for dumb clients, which probe for loose objects. */
export const FileNotFoundError: GitHttpError<'FST_GIT_FILE_NOT_FOUND'> =
  define('FST_GIT_FILE_NOT_FOUND', 'File not found', 404)

/** `service=` is none of git's services, or is given more than once. */
export const UnknownServiceError: GitHttpError<'FST_GIT_UNKNOWN_SERVICE'> =
  define('FST_GIT_UNKNOWN_SERVICE', 'Unsupported service', 403)

/** The service is turned off, by {@link GitHttpOptions.services} or by the repository's `http.*` config. Argument: the service. */
export const ServiceDisabledError: GitHttpError<'FST_GIT_SERVICE_DISABLED', [string]> =
  define('FST_GIT_SERVICE_DISABLED', 'Service not enabled: %s', 403)

/** A git URL was asked for with a method that it does not have; sent with `Allow`. */
export const MethodNotAllowedError: GitHttpError<'FST_GIT_METHOD_NOT_ALLOWED', [string]> =
  define('FST_GIT_METHOD_NOT_ALLOWED', 'Method not allowed, use %s', 405)

/** The request's Content-Type is not exactly the service's. Argument: the expected type. */
export const UnsupportedMediaTypeError: GitHttpError<'FST_GIT_UNSUPPORTED_MEDIA_TYPE', [string]> =
  define('FST_GIT_UNSUPPORTED_MEDIA_TYPE', 'Content-Type must be %s', 415)

/** The request's Content-Encoding is neither gzip nor identity. */
export const UnsupportedEncodingError: GitHttpError<'FST_GIT_UNSUPPORTED_ENCODING'> =
  define('FST_GIT_UNSUPPORTED_ENCODING', 'Content-Encoding must be gzip or identity', 415)

/** The request breaks git's protocol; git never saw it. Argument: how. */
export const MalformedRequestError: GitHttpError<'FST_GIT_MALFORMED_REQUEST', [string]> =
  define('FST_GIT_MALFORMED_REQUEST', 'Malformed request: %s', 400)

/** The gzip body is damaged or truncated; nothing of it was applied. */
export const BadEncodingError: GitHttpError<'FST_GIT_BAD_ENCODING'> =
  define('FST_GIT_BAD_ENCODING', 'The gzip body is damaged or truncated', 400)

/** The asked byte range lies outside the file. */
export const RangeNotSatisfiableError: GitHttpError<'FST_GIT_RANGE'> =
  define('FST_GIT_RANGE', 'Range not satisfiable', 416)

/** git cannot be started now (missing, no descriptors, no processes); sent with Retry-After. */
export const GitUnavailableError: GitHttpError<'FST_GIT_UNAVAILABLE'> =
  define('FST_GIT_UNAVAILABLE', 'The server cannot start git now, try again', 503)

/** Too many requests wait for a git, or too many passwords to be checked; sent with Retry-After. */
export const BusyError: GitHttpError<'FST_GIT_BUSY'> =
  define('FST_GIT_BUSY', 'The server is busy, try again', 503)

/** The server shuts down; sent with Retry-After. */
export const ClosingError: GitHttpError<'FST_GIT_CLOSING'> =
  define('FST_GIT_CLOSING', 'The server is shutting down, try again', 503)

/** No byte moved in either direction for {@link GitHttpLimits.idleTimeout}. */
export const IdleTimeoutError: GitHttpError<'FST_GIT_IDLE_TIMEOUT'> =
  define('FST_GIT_IDLE_TIMEOUT', 'The transfer stood still for too long', 408)

/** git failed before it answered; its stderr is in the server's log. */
export const GitFailedError: GitHttpError<'FST_GIT_FAILED'> =
  define('FST_GIT_FAILED', 'git failed on the server', 500)

/** A hook did not end within {@link GitHttpHooks.deadline}. */
export const HookTimeoutError: GitHttpError<'FST_GIT_HOOK_TIMEOUT'> =
  define('FST_GIT_HOOK_TIMEOUT', 'A hook of the server took too long', 500)

/** The request is longer than it may be. Argument: in what. */
export const TooLargeError: GitHttpError<'FST_GIT_TOO_LARGE', [string]> =
  define('FST_GIT_TOO_LARGE', 'Request too large: %s', 413)

/** A function of the host (authorize, authenticate, resolve, ...) failed; the cause is in the server's log. */
export const InternalError: GitHttpError<'FST_GIT_INTERNAL'> =
  define('FST_GIT_INTERNAL', 'Internal error', 500)

/** True for an error of this file, which may be answered as it is. A code alone proves nothing: anybody's error may carry one. */
export function isOurs (error: unknown): error is Error & { code: string } {
  return constructors.some((constructor) => error instanceof constructor)
}
