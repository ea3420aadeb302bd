import { z } from 'zod';
import { isSecretReference, REFERENCE_FORMS, vaultReferenceProblem } from '../../domain/policy/secret-reference.js';

/** A setting that is a secret: only a reference to it may stand in a configuration. The text itself never gets into a message. */
export const secretReference = z.string().superRefine((text, issues) => {
  if (isSecretReference(text)) return;
  const message = vaultReferenceProblem(text) ?? `must be a reference, ${REFERENCE_FORMS}`;
  issues.addIssue({ code: 'custom', message });
});
