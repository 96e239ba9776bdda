// What operators do about dead letters (since engine version 4): retries, which are the records
// themselves with a header (schemas/dead_letter_header.h), and account changes that drop or purge.
// Internal to processor/engine; used by fold.cc and control.cc.
//
//   open -> retried -> resolved | failed again;   open | failed again -> dropped;   any -> purged
//
// A dead letter that nobody acted on has no state: it is open, and its id proves where its record
// lies, so that it makes no difference by which version it died. `retried` lasts only from the
// moment a retry is let in until the same batch has decided it. What was done is remembered for
// kDeadLetterKept, and nothing can be done about a letter that is older than kDeadLetterWindow. A
// letter's age is that of the record that died first, which its id tells.
#pragma once

#include "processor/engine/fold_context.h"

namespace alertstream::engine {

// Before the record is decoded. True: fold it; context.redrive is set if its header names a dead
// letter. False: it is a retry that is refused, and the fact says why.
bool AdmitRedrive(FoldContext& context, const RecordRef& ref);

// After the record that `redrive` came with was folded: it is resolved, unless it died again and
// left a dead letter of its own.
void SettleRedrive(FoldContext& context, const RecordRef& ref, bool died);

// Since version 5, of an event on a later part of whose fan-out the engine failed: the dead letter
// `id` keeps the rest.
void KeepFanOut(FoldContext& context, std::string_view id, const v1::FanOut& fan_out);
// The retry of such a letter goes on with the rest, instead of deciding the event once more. False:
// context.redrive is of another kind.
bool ResumeFanOut(FoldContext& context);

// DROP or PURGE.
void FoldDeadLetterAction(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope);

void SweepDeadLetters(FoldContext& context, const v1::DeadLetterSweep& sweep);
// At the end of a batch.
void StartDeadLetterSweep(FoldContext& context);

}  // namespace alertstream::engine
