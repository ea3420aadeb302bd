import { goProgram } from './go-build.js';
import type { GoBuild } from './go-build.js';

const version = '1.25.2';

export const giteaProgram = {
  name: `gitea-${version}`,
  package: 'code.gitea.io/gitea',
  require: { 'code.gitea.io/gitea': `v${version}` },
  // The replacements of Gitea's own go.mod.
  replace: {
    'github.com/jaytaylor/html2text': 'github.com/Necoro/html2text v0.0.0-20250804200300-7bf1ce1c7347',
    'github.com/hashicorp/go-version': 'github.com/6543/go-version v1.3.1',
    'github.com/nektos/act': 'gitea.com/gitea/act v0.261.7-0.20251003180512-ac6e4b751763',
    'git.sr.ht/~mariusor/go-xsd-duration': 'gitea.com/gitea/go-xsd-duration v0.0.0-20220703122237-02e73435a078',
  },
  tags: 'sqlite sqlite_unlock_notify',
  env: { CGO_ENABLED: '1' },
  variables: { 'main.Version': version },
  files: { module: 'code.gitea.io/gitea', folders: ['templates', 'options', 'public'] },
} as const;

/** The program, built before or now (TENURE_CI_FULL=1), or why there is none. */
export function giteaBuild(): Promise<GoBuild> {
  return goProgram(giteaProgram);
}
