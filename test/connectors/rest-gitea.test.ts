import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import ssh from 'ssh2';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { Secret } from '../../src/connectors/secret.js';
import type { Gitea } from '../systems/gitea.js';
import { giteaBuild, startGitea } from '../systems/gitea.js';
import { newContext } from './kit/checks.js';
import { giteaConnector, sampleAccount } from './rest-gitea-harness.js';

const build = await giteaBuild();

if (build.program === undefined) {
  describe('rest with Gitea', () => {
    it.skip(`skipped: ${build.skip}`, () => undefined);
  });
} else {
  const { program } = build;
  describe('rest with Gitea', () => {
    let gitea: Gitea;
    let connector: Connector;
    beforeAll(async () => {
      gitea = await startGitea(program);
      connector = giteaConnector(gitea);
    }, 120_000);
    afterAll(async () => {
      await connector.close();
      await gitea.stop();
    });

    const person = async (): Promise<{ ref: AccountRef; login: string; token: string; key: string }> => {
      const spec = sampleAccount();
      const { ref } = await connector.create!(spec, newContext());
      const name = { name: 'laptop', scopes: ['read:user'] };
      const made = await gitea.call('POST', `/users/${spec.login}/tokens`, name);
      const { private: key, public: shown } = ssh.utils.generateKeyPairSync('ed25519');
      const added = await gitea.call('POST', `/admin/users/${spec.login}/keys`, { title: 'laptop', key: shown });
      expect([made.status, added.status]).toEqual([201, 201]);
      return { ref, login: spec.login, token: (made.body as { sha1: string }).sha1, key };
    };
    const lets = async (token: string): Promise<boolean> =>
      (await gitea.call('GET', '/user', undefined, `token ${token}`)).status === 200;

    it('an access token and an SSH key work until they are revoked, and others go on working', async () => {
      const [leaver, other] = [await person(), await person()];
      const { credentials } = await connector.listCredentials!(leaver.ref, newContext());
      expect(credentials.map(({ kind }) => kind).sort()).toEqual(['api-key', 'ssh-key']);
      expect([await lets(leaver.token), await gitea.opensSsh(leaver.key)]).toEqual([true, true]);
      expect((await connector.revokeCredentials!(leaver.ref, newContext())).outcome).toBe('applied');
      expect([await lets(leaver.token), await gitea.opensSsh(leaver.key)]).toEqual([false, false]);
      expect([await lets(other.token), await gitea.opensSsh(other.key)]).toEqual([true, true]);
    });

    it('a disable closes token and password at once, and the sign-in page says so to the right password alone', async () => {
      const { ref, login, token } = await person();
      const secret = Secret.random();
      await connector.setSecret!(ref, secret, newContext());
      await connector.disable!(ref, newContext());
      expect(await lets(token)).toBe(false);
      const probe = async (given: Secret) => (await connector.probeSignIn!(login, given, newContext())).answer;
      expect([await probe(secret), await probe(Secret.random())]).toEqual(['disabled', 'wrong-secret']);
    });

    it('follows a login that somebody changed: the id stays', async () => {
      const { ref, login } = await person();
      await gitea.call('POST', `/admin/users/${login}/rename`, { new_username: `${login}x` });
      expect((await connector.get(ref, newContext()))?.login).toBe(`${login}x`);
      expect((await connector.revokeCredentials!(ref, newContext())).outcome).toBe('applied');
      expect((await connector.disable!(ref, newContext())).outcome).toBe('applied');
    });
  });
}
