package lsp

import "keepalived-go/conf"

// The types of the Language Server Protocol 3.17 that are used. Lines and
// characters count from 0, characters in units of UTF-16.
type (
	position struct {
		Line      int `json:"line"`
		Character int `json:"character"`
	}
	textRange struct {
		Start position `json:"start"`
		End   position `json:"end"`
	}
	location struct {
		URI   string    `json:"uri"`
		Range textRange `json:"range"`
	}
	documentID struct {
		URI string `json:"uri"`
	}
	// positionParams are the parameters of all requests about a place.
	positionParams struct {
		Document documentID `json:"textDocument"`
		Position position   `json:"position"`
	}
	actionParams struct {
		Document documentID `json:"textDocument"`
		Range    textRange  `json:"range"`
		Context  struct {
			Only []string `json:"only"`
		} `json:"context"`
	}
	openParams struct {
		Document struct {
			URI  string  `json:"uri"`
			Text *string `json:"text"`
		} `json:"textDocument"`
	}
	changeParams struct {
		Document documentID `json:"textDocument"`
		Changes  []struct {
			Range *textRange `json:"range"`
			Text  *string    `json:"text"`
		} `json:"contentChanges"`
	}
	diagnostic struct {
		Range    textRange `json:"range"`
		Severity int       `json:"severity"` // 1 error, 2 warning, 3 information
		Code     string    `json:"code"`
		Source   string    `json:"source"`
		Message  string    `json:"message"`
		Related  []related `json:"relatedInformation,omitempty"`

		edit conf.Edit // of the word in the range
	}
	related struct {
		Location location `json:"location"`
		Message  string   `json:"message"`
	}
	publishParams struct {
		URI         string       `json:"uri"`
		Diagnostics []diagnostic `json:"diagnostics"`
	}
	completionItem struct {
		Label         string `json:"label"`
		Kind          int    `json:"kind"`
		Detail        string `json:"detail,omitempty"`
		Documentation string `json:"documentation,omitempty"`
		Deprecated    bool   `json:"deprecated,omitempty"`
	}
	markup struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	}
	hover struct {
		Contents markup    `json:"contents"`
		Range    textRange `json:"range"`
	}
	symbol struct {
		Name      string    `json:"name"`
		Kind      int       `json:"kind"`
		Range     textRange `json:"range"`
		Selection textRange `json:"selectionRange"`
		Children  []symbol  `json:"children,omitempty"`
	}
	textEdit struct {
		Range   textRange `json:"range"`
		NewText string    `json:"newText"`
	}
	codeAction struct {
		Title       string       `json:"title"`
		Kind        string       `json:"kind"`
		Diagnostics []diagnostic `json:"diagnostics"`
		Preferred   bool         `json:"isPreferred"`
		Edit        struct {
			Changes map[string][]textEdit `json:"changes"`
		} `json:"edit"`
	}
	logParams struct {
		Type    int    `json:"type"` // 1 error
		Message string `json:"message"`
	}
)

// Kinds of completion items and of symbols.
const (
	kindKeyword   = 14
	kindValue     = 12
	kindReference = 18
	kindVariable  = 6
	symbolBlock   = 19
)

// kindQuickFix is the kind of all code actions.
const kindQuickFix = "quickfix"

// serverCapabilities are the answer to initialize.
type serverCapabilities struct {
	Capabilities struct {
		Sync struct {
			OpenClose bool `json:"openClose"`
			Change    int  `json:"change"` // 1: the whole text
			Save      bool `json:"save"`
		} `json:"textDocumentSync"`
		Completion struct {
			Triggers []string `json:"triggerCharacters"`
		} `json:"completionProvider"`
		Hover      bool `json:"hoverProvider"`
		Definition bool `json:"definitionProvider"`
		Symbols    bool `json:"documentSymbolProvider"`
		Formatting bool `json:"documentFormattingProvider"`
		Actions    struct {
			Kinds []string `json:"codeActionKinds"`
		} `json:"codeActionProvider"`
	} `json:"capabilities"`
	Info struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"serverInfo"`
}
