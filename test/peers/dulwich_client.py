"""dulwich as a command: clone, fetch and push with a user name and a password."""
import sys

from dulwich import porcelain

command, user, password, folder, *rest = sys.argv[1:]
login = {'username': user, 'password': password}

if command == 'clone':
    porcelain.clone(rest[0], folder, **login)
elif command == 'fetch':
    porcelain.fetch(folder, 'origin', **login)
elif command == 'push':
    porcelain.push(folder, 'origin', [rest[0]], **login)
