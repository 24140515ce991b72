import { execFileSync } from 'node:child_process';
execFileSync('tsc', ['-b', 'nodes', 'runtime'], { stdio: 'inherit' });
