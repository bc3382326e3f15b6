"""libgit2 as a command: clone, fetch and push with a user name and a password."""
import sys

import pygit2


class Refused(Exception):
    pass


class Callbacks(pygit2.RemoteCallbacks):
    def __init__(self, user, password):
        super().__init__()
        self.asked = 0
        self.user, self.password = user, password

    def credentials(self, url, username_from_url, allowed_types):
        # libgit2 asks again after a 401, for as long as it is given an answer.
        self.asked += 1
        if self.asked > 1:
            raise Refused('wrong credentials')
        return pygit2.UserPass(self.user, self.password)

    def push_update_reference(self, refname, message):
        if message is not None:
            raise Refused(f'{refname}: {message}')


command, user, password, folder, *rest = sys.argv[1:]
callbacks = Callbacks(user, password)

if command == 'clone':
    pygit2.clone_repository(rest[0], folder, callbacks=callbacks)
elif command == 'fetch':
    pygit2.Repository(folder).remotes['origin'].fetch(callbacks=callbacks)
elif command == 'push':
    pygit2.Repository(folder).remotes['origin'].push([rest[0]], callbacks=callbacks)
