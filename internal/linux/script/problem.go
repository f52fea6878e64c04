package script

// Code says what keeps a program from being run.
type Code string

// Codes of a [Problem].
const (
	Empty         Code = "empty"          // there is no command
	Missing       Code = "missing"        // no such file, or its interpreter is not there
	NotAFile      Code = "not-a-file"     // a directory, a device
	NotExecutable Code = "not-executable" // for nobody
	NoPermission  Code = "no-permission"  // for the user who is to run it
	Insecure      Code = "insecure"       // others than root could change what root would run
	UnknownUser   Code = "unknown-user"
	UnknownGroup  Code = "unknown-group"
	CannotBecome  Code = "cannot-become" // without root's rights nobody becomes someone else
)

// Problem is why a program cannot be run.
type Problem struct {
	Code    Code
	Path    string // of the component that is at fault; empty: no path is
	Message string
	Remedy  string // a command, or a line of the configuration; may be empty
}

// Insecure reports whether others than root could change what root would run.
func (p *Problem) Insecure() bool { return p.Code == Insecure }

func (p *Problem) Error() string {
	if p.Remedy == "" {
		return p.Message
	}
	return p.Message + "; try: " + p.Remedy
}
