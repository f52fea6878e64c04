package act

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Intent is what an act that is kept wants of a process, until it is released.
type Intent struct {
	Kind   Kind   `json:"kind"`
	Name   string `json:"name"`
	Value  int    `json:"value,omitempty"`
	Reason string `json:"reason,omitempty"`
	By     string `json:"by"`
	Since  int64  `json:"since"`           // seconds since 1970
	Until  int64  `json:"until,omitempty"` // likewise; 0: it is released by an act alone
}

// IntentOf is the intent of an act that is done at now.
func IntentOf(a *Act, now time.Time) Intent {
	i := Intent{Kind: a.Kind, Name: a.Name, Value: a.Value, Reason: a.Reason, By: a.By.String(), Since: now.Unix()}
	if a.For > 0 {
		i.Until = now.Unix() + int64(a.For)
	}
	return i
}

// Role is the name of the process that heeds the intent.
func (i *Intent) Role() string { return RowOf(i.Kind).Role }

// Over reports whether the intent ends by itself and has ended at now.
func (i *Intent) Over(now time.Time) bool { return i.Until != 0 && now.Unix() >= i.Until }

// Put adds an intent to a list, in the place of an earlier one of its kind and name. A
// priority of 0 only removes that.
func Put(list []Intent, i Intent) []Intent {
	list = slices.DeleteFunc(slices.Clone(list), func(o Intent) bool { return o.Kind == i.Kind && o.Name == i.Name })
	if i.Kind == Priority && i.Value == 0 {
		return list
	}
	return append(list, i)
}

const (
	// MaxIntents is how many intents are kept; acts beyond that are refused.
	MaxIntents = 256
	// MaxIntentFile is how long the file of intents may be, in bytes: each has three names.
	MaxIntentFile = MaxIntents * 2 << 10

	intentVersion = 1
)

type intentFile struct {
	Version int      `json:"version"`
	Intents []Intent `json:"intents"`
}

// EncodeIntents is the content of the file that keeps a list of intents.
func EncodeIntents(list []Intent) ([]byte, error) {
	b, err := json.MarshalIndent(intentFile{intentVersion, list}, "", "  ")
	return append(b, '\n'), err
}

// DecodeIntents reads such a file. It is refused as a whole if any intent in it is none
// that an act could have made.
func DecodeIntents(b []byte) ([]Intent, error) {
	var f intentFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, err
	}
	switch {
	case f.Version != intentVersion:
		return nil, fmt.Errorf("version %d of the file; this program knows version %d", f.Version, intentVersion)
	case len(f.Intents) > MaxIntents:
		return nil, fmt.Errorf("%d intents; at most %d are kept", len(f.Intents), MaxIntents)
	}
	for n := range f.Intents {
		i := &f.Intents[n]
		a := Act{Kind: i.Kind, Name: i.Name, Value: i.Value, Reason: i.Reason, By: By{Over: i.By}}
		if err := a.Check(); err != nil {
			return nil, fmt.Errorf("intent %d: %w", n+1, err)
		}
		if !RowOf(i.Kind).Keeps || i.Since < 0 || i.Until < 0 {
			return nil, fmt.Errorf("intent %d: %s is not kept like that", n+1, i.Kind)
		}
		for _, o := range f.Intents[:n] {
			if o.Kind == i.Kind && o.Name == i.Name {
				return nil, fmt.Errorf("intent %d: %v stands there twice", n+1, &a)
			}
		}
	}
	return f.Intents, nil
}
