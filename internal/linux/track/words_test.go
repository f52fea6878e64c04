package track

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"keepalived-go/conf"
)

// distinct fails if two words of a type of the model have the same meaning, as a word has
// that was added to the language only.
func distinct[T ~uint8](t *testing.T, meaning func(T) string) {
	t.Helper()
	words, seen := conf.Names(reflect.TypeFor[T]()), map[string]string{}
	if len(words) == 0 {
		t.Fatalf("%v has no words", reflect.TypeFor[T]())
	}
	for i, word := range words {
		m := meaning(T(i))
		if other, taken := seen[m]; taken {
			t.Errorf("%v: %s and %s mean the same: %s", reflect.TypeFor[T](), other, word, m)
		}
		seen[m] = word
	}
}

// TestEachWordHasAnEffect checks init_file, param_match and linkbeat_interfaces.
func TestEachWordHasAnEffect(t *testing.T) {
	distinct(t, func(m conf.ParamMatch) string {
		found := newMatcher(&conf.TrackProcess{Process: "p", Params: []string{"-a", "b"}, Match: m})
		var all []bool
		for _, line := range []string{"p -a b", "p -a b c", "p -a bc", "p x"} {
			all = append(all, found.matches([]byte(strings.ReplaceAll(line, " ", "\x00")+"\x00")))
		}
		return fmt.Sprint(all)
	})
	distinct(t, func(i conf.InitFile) string {
		dir := t.TempDir()
		write(t, dir+"/there", "longer")
		var all []string
		for _, name := range []string{dir + "/there", dir + "/new"} {
			(&file{conf: &conf.TrackFile{Name: "f", Path: name, Init: i, InitValue: 5}}).init()
			text, err := os.ReadFile(name)
			all = append(all, fmt.Sprintf("%q %t", text, err == nil))
		}
		return strings.Join(all, ", ")
	})
	if words := conf.Names(reflect.TypeFor[conf.LinkBeat]()); len(beatNames) != len(words) {
		t.Errorf("%d names of ways to poll for %q", len(beatNames), words)
	}
}
