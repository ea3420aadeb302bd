import { isCancellation } from '@temporalio/workflow';

/** Word to a workflow that may have ended meanwhile: then it needs none. Our own cancellation passes. */
export async function quietly(sent: Promise<unknown>): Promise<void> {
  try {
    await sent;
  } catch (error) {
    if (isCancellation(error)) throw error;
  }
}
