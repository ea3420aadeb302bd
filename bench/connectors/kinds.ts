import { activeDirectory, ldap } from './directories.js';
import { localFile, mariadb, postgres, remoteFile } from './stores.js';
import type { Kind } from './subject.js';
import { identityProvider, mail, rest, scimPython, scimSandbox, vault } from './web.js';

/** Every kind that has a real system; `manual` has none. */
export const kinds: readonly Kind[] = [
  ldap,
  activeDirectory,
  identityProvider,
  rest,
  scimPython,
  scimSandbox,
  postgres,
  mariadb,
  localFile,
  remoteFile,
  mail,
  vault,
];
