// What operators do about dead letters (since engine version 4): retries, which are the records
// themselves with a header (schemas/dead_letter_header.h), and account changes that drop or purge.
// Internal to processor/engine; used by fold.cc and control.cc.
//
//   open -> retried -> resolved | failed again;   open | failed again -> dropped;   any -> purged
//
// A dead letter that nobody acted on has no state: it is open, and its id proves where its record
// lies, so that it makes no difference by which version it died. `retried` lasts only from the
// moment a retry is let in until the same batch has decided it. What was done is remembered for
// kDeadLetterKept, and nothing can be done about a letter that is older than kDeadLetterWindow.
#pragma once

#include "processor/engine/fold_context.h"

namespace alertstream::engine {

// Before the record is decoded. True: fold it; context.redrive is set if its header names a dead
// letter. False: it is a retry that is refused, and the fact says why.
bool AdmitRedrive(FoldContext& context, const RecordRef& ref);

// After the record that `redrive` came with was folded: it is resolved, unless it died again and
// left a dead letter of its own.
void SettleRedrive(FoldContext& context, const RecordRef& ref, bool died);

// When the event of a retry happened that does not say so itself: when its record was appended
// first.
LogTime FirstAppended(const Redrive& redrive);

// DROP or PURGE.
void FoldDeadLetterAction(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope);

void SweepDeadLetters(FoldContext& context, const v1::DeadLetterSweep& sweep);
// At the end of a batch.
void StartDeadLetterSweep(FoldContext& context);

}  // namespace alertstream::engine
