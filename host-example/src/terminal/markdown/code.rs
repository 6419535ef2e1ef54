//! Colours for code, by the scopes of Sublime Text's grammars, in the colours of the user's terminal.

/// A code block that is being coloured line by line.
pub struct Painter(#[cfg(feature = "highlight")] Option<paint::Grammar>);

impl Painter {
    /// - In: the word behind the fence, such as `rust`; for an unknown one, the code stays plain.
    #[cfg_attr(
        not(feature = "highlight"),
        expect(unused_variables, reason = "no grammars are built in")
    )]
    pub fn new(language: &str) -> Self {
        Self(
            #[cfg(feature = "highlight")]
            paint::Grammar::of(language),
        )
    }

    /// The next line with its colours.
    pub fn line(&mut self, line: &str) -> String {
        #[cfg(feature = "highlight")]
        if let Some(grammar) = &mut self.0 {
            return grammar.line(line);
        }
        line.to_owned()
    }
}

#[cfg(feature = "highlight")]
mod paint {
    use std::sync::OnceLock;

    use anstyle::{AnsiColor, Effects, Style};
    use syntect::easy::ScopeRegionIterator;
    use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxSet};

    /// What the scopes of a grammar look like; the first prefix that matches counts.
    const STYLES: [(&str, Style); 9] = [
        ("comment", Style::new().effects(Effects::DIMMED)),
        ("string", AnsiColor::Green.on_default()),
        ("constant", AnsiColor::Cyan.on_default()),
        ("keyword.operator", Style::new()),
        ("keyword", AnsiColor::Magenta.on_default()),
        ("storage", AnsiColor::Magenta.on_default()),
        ("entity.name", AnsiColor::Blue.on_default()),
        ("entity.other.attribute-name", AnsiColor::Yellow.on_default()),
        ("support", AnsiColor::Blue.on_default()),
    ];

    /// The grammars that are built in, and the styles of their scopes.
    struct Grammars {
        set: SyntaxSet,
        styles: Vec<(Scope, Style)>,
    }

    fn grammars() -> &'static Grammars {
        static GRAMMARS: OnceLock<Grammars> = OnceLock::new();
        GRAMMARS.get_or_init(|| Grammars {
            set: SyntaxSet::load_defaults_newlines(),
            styles: STYLES
                .iter()
                .filter_map(|(name, style)| Some((Scope::new(name).ok()?, *style)))
                .collect(),
        })
    }

    pub struct Grammar {
        state: ParseState,
        scopes: ScopeStack,
    }

    impl Grammar {
        pub fn of(language: &str) -> Option<Self> {
            let token = match language.to_ascii_lowercase().as_str() {
                "" => return None,
                "ts" | "tsx" | "typescript" | "jsx" => "js".to_owned(),
                "shell" | "console" | "shellsession" => "sh".to_owned(),
                "jsonc" | "json5" | "jsonl" => "json".to_owned(),
                word => word.to_owned(),
            };
            let syntax = grammars().set.find_syntax_by_token(&token)?;
            Some(Self {
                state: ParseState::new(syntax),
                scopes: ScopeStack::new(),
            })
        }

        pub fn line(&mut self, line: &str) -> String {
            let line = format!("{line}\n");
            let Ok(changes) = self.state.parse_line(&line, &grammars().set) else {
                return line.trim_end_matches('\n').to_owned();
            };
            let mut painted = String::new();
            for (text, change) in ScopeRegionIterator::new(&changes, &line) {
                // A grammar that contradicts itself costs colours only.
                let _ = self.scopes.apply(change);
                let text = text.trim_end_matches('\n');
                let style = self.style();
                if text.trim().is_empty() {
                    painted.push_str(text);
                } else {
                    painted.push_str(&format!("{style}{text}{style:#}"));
                }
            }
            painted
        }

        fn style(&self) -> Style {
            let style_of = |scope: &Scope| {
                let known = grammars().styles.iter().find(|(prefix, _)| prefix.is_prefix_of(*scope));
                known.map(|(_, style)| *style)
            };
            self.scopes
                .as_slice()
                .iter()
                .rev()
                .find_map(style_of)
                .unwrap_or_default()
        }
    }
}
