# make figures: one file for each figure of the documentation, printed by the command that its page names (a figure that no command prints says so
# there). What is there is kept, so an interrupted run goes on where it was left; delete a file to have it measured again. Hours on two cores.

FIGURES ?= figures
SHIPPED = stress heart metabolic
MODULE = $(VENV)/bin/python -m sensecf_convert
kept = @mkdir -p $(@D) && echo "$@" && $(1) > $@.part && mv $@.part $@

TARGET_stress = --target stress --wanted calm --person person --test-share 0.23 --final-share 0.23 --seed 1
TARGET_heart = --target disease --wanted healthy --test-share 0.2 --final-share 0.2
TARGET_metabolic = --target Diabetes --wanted No --test-share 0.2 --final-share 0.2 --seed 1
POSITIVE_stress = --target stress --positive stressed --person person
POSITIVE_heart = --target disease --positive disease
POSITIVE_metabolic = --target Diabetes --positive Yes --people 1000 --seeds 1
TEACHERS_stress = --teacher search --teacher neighbours --teacher pairs
ALLOW_stress = --allow few-people
EASED_metabolic = --limit 150 --drawn
PLANTED_heart = 5000
PLANTED_stress = 2000
PLANTED_metabolic = 1000
FITTED = diabetes breast-cancer
TARGET_diabetes = --target progression --wanted slow --pairs 1000 --passes 4 --no-improve
TARGET_breast-cancer = --target diagnosis --wanted benign --pairs 100 --passes 1 --no-improve --allow all-mutable
$(foreach table,$(FITTED),$(eval MODEL_$(table) = $(TABLES)/compared/$(table)))
DRAW = --limit 20 --seconds 1 --minutes 20 --shift
$(foreach model,$(SHIPPED),$(eval OPTIONS_$(model) = --final --fewest))
OPTIONS_diabetes = --fewest
OPTIONS_breast-cancer = --fewest --max-changes 8
schema = --schema convert/schemas/$*.schema.json
ALL = $(foreach model,$(SHIPPED),$(FIGURES)/$(1)-$(model).txt)

.PRECIOUS: $(TABLES)/%.csv $(TABLES)/compared/%/manifest.json
figures: $(call ALL,final) $(call ALL,test) $(call ALL,price) $(call ALL,easing) $(call ALL,memorisation) $(call ALL,planted) $(call ALL,density) \
    $(call ALL,classifiers) $(call ALL,teachers) $(FIGURES)/parrots-heart.txt $(FIGURES)/parrots-metabolic.txt $(FIGURES)/costs.txt \
    $(FIGURES)/generators.txt $(FIGURES)/made-up-heart.txt $(FIGURES)/compare/index.txt $(FIGURES)/augment/index.txt $(FIGURES)/scale.txt $(FIGURES)/bench.txt \
    $(FIGURES)/days.txt $(FIGURES)/raw-stress.txt $(FIGURES)/unseen-breast-cancer.txt

$(FIGURES)/final-%.txt: $(TABLES)/%.csv            # README, bundles.md, the cards
	$(call kept,$(RUN) evaluate $< --model $* --final)
$(FIGURES)/test-%.txt: $(TABLES)/%.csv             # bundles.md: beside baselines
	$(call kept,$(RUN) evaluate $< --model $* --curve)
$(FIGURES)/price-%.txt: $(TABLES)/%.csv            # advice.md
	$(call kept,$(MODULE).evaluate.price $< --model $* --limit 300)
$(FIGURES)/easing-%.txt: $(TABLES)/%.csv           # bundles.md: what users get; explanations.md
	$(call kept,$(MODULE).evaluate.easing $< --model $* --final $(EASED_$*))
$(FIGURES)/memorisation-%.txt: $(TABLES)/%.csv     # memorisation.md
	$(call kept,$(MODULE).memorisation $< --model $*)
$(FIGURES)/parrots-%.txt: $(TABLES)/%.csv          # memorisation.md: what it can see
	$(call kept,$(MODULE).memorisation.parrots $< --model $*)
$(FIGURES)/planted-%.txt: $(TABLES)/%.csv          # memorisation.md: canaries
	$(call kept,$(MODULE).memorisation.planted $< --model $* --work $(TABLES)/planted-$* --pairs $(PLANTED_$*) --passes 7)
$(FIGURES)/costs.txt: | $(VENV)/.test              # large-models.md: computed
	$(call kept,$(MODULE).generator.base.costs)
$(FIGURES)/density-%.txt: $(TABLES)/%.csv          # bundles.md: realism
	$(call kept,$(MODULE).evaluate.density_study $< --model $* --doubles 2)
$(FIGURES)/classifiers-%.txt: $(TABLES)/%.csv      # classifiers.md
	$(call kept,$(MODULE).classifier $< $(TARGET_$*) $(schema) $(ALLOW_$*))
$(FIGURES)/teachers-%.txt: $(TABLES)/%.csv         # teachers.md
	$(call kept,$(MODULE).evaluate.teacher_answers $< $(TARGET_$*) $(schema) $(TEACHERS_$*) --count 500)

$(FIGURES)/compare/%/done.txt: $(TABLES)/%.csv     # compare.md
	$(call kept,$(RUN) compare $< --model $(or $(MODEL_$*),$*) -o $(@D) $(DRAW) $(OPTIONS_$*))
$(foreach table,$(FITTED),$(FIGURES)/compare/$(table)/done.txt): $(FIGURES)/compare/%/done.txt: $(TABLES)/compared/%/manifest.json
$(TABLES)/compared/%/manifest.json: $(TABLES)/%.csv
	$(RUN) fit $< $(TARGET_$*) $(schema) -o $(@D) --work $(TABLES)/compared/work-$*
$(FIGURES)/compare/index.txt: $(foreach table,$(SHIPPED) $(FITTED),$(FIGURES)/compare/$(table)/done.txt)
	$(call kept,$(RUN) compare-pool $(filter-out %/breast-cancer,$(^D)) -o $(@D)/pooled)

$(FIGURES)/made-up-heart.txt: $(TABLES)/heart.csv  # generators.md: tuned, and as it came; fetches SmolLM2 once
	$(call kept,$(MODULE).evaluate.made_up $< --model heart-smollm2)
$(FIGURES)/generators.txt: $(TABLES)/heart.csv     # compare.md: who proposes; fetches SmolLM2 once
	$(call kept,$(RUN) compare $< --model heart -o $(@D)/generators --generators --limit 16 --seconds 60)

$(FIGURES)/augment/%/done.txt: $(TABLES)/%.csv     # augmentation.md
	$(call kept,$(RUN) augment study $< $(POSITIVE_$*) $(schema) -o $(@D) --method class-weights --method smote)
$(FIGURES)/augment/elsewhere/done.txt: $(TABLES)/heart.csv $(TABLES)/heart-elsewhere.csv
	$(call kept,$(RUN) augment study $< $(POSITIVE_heart) --schema convert/schemas/heart.schema.json -o $(@D) --seeds 1 --scenario A --scenario C \
	    --elsewhere $(TABLES)/heart-elsewhere.csv --method elsewhere --method taught)
$(FIGURES)/augment/told/done.txt: $(TABLES)/heart.csv
	$(call kept,$(RUN) augment study $< $(POSITIVE_heart) --schema convert/schemas/heart.schema.json -o $(@D) --method directions --method unlabelled)
$(FIGURES)/augment/ours/done.txt: $(TABLES)/heart.csv
	$(call kept,$(RUN) augment study $< $(POSITIVE_heart) --schema convert/schemas/heart.schema.json -o $(@D) --seeds 1 --scenario A --method ours \
	    --method class-weights --method smote)
$(FIGURES)/augment/index.txt: $(foreach model,$(SHIPPED),$(FIGURES)/augment/$(model)/done.txt) | \
    $(foreach more,elsewhere told ours,$(FIGURES)/augment/$(more)/done.txt)
	$(call kept,$(RUN) augment pool $(^D) -o $(@D)/pooled)

$(FIGURES)/scale.txt: | $(VENV)/.test              # scale.md
	$(call kept,$(VENV)/bin/python tests/soak/scale.py heart --sizes 1000 --only engine --only one --only two)
$(FIGURES)/bench.txt: | $(VENV)/.test              # engine.md; `make bench` measures beside llama.cpp's own bench, too
	$(call kept,PYTHONPATH=tools $(VENV)/bin/python -m sensecf_bench --model stress)
$(FIGURES)/days.txt: | $(VENV)/.test               # sensors.md: what it costs
	$(call kept,PYTHONPATH=tools $(VENV)/bin/python -m sensecf_bench.days --apple-mb 1000 --rows 10000000 --readings 1000000)
$(FIGURES)/raw-stress.txt: | $(VENV)/.test         # sensors.md: the training table of stress
	$(call kept,$(MODULE).table.raw_stress $(SENSECF_DATA))

# unseen.md: whoever has fetched the others asks for $(FIGURES)/unseen-pima.txt and so on, with UNSEEN_DATA, the folder that table/unfamiliar.py names.
UNSEEN_DATA ?= $(SENSECF_DATA)
UNSEEN_breast-cancer = --target diagnosis --wanted benign --allow all-mutable
UNSEEN_pima = --target diabetes --wanted No
UNSEEN_pbc = --target five_years --wanted alive
UNSEEN_actg175 = --target course --wanted free
$(FIGURES)/unseen-%.txt: | $(VENV)/.test
	@mkdir -p $(TABLES)/unseen
	$(MODULE).table.sources $* $(UNSEEN_DATA) -o $(TABLES)/unseen/$*.csv
	$(RUN) schema draft $(TABLES)/unseen/$*.csv $(wordlist 1,2,$(UNSEEN_$*)) -o $(TABLES)/unseen/$*.schema.json
	$(RUN) fit $(TABLES)/unseen/$*.csv $(UNSEEN_$*) --schema $(TABLES)/unseen/$*.schema.json -o $(TABLES)/unseen/$* \
	    --work $(TABLES)/unseen/work-$* --generator none
	$(call kept,$(MODULE).evaluate.easing $(TABLES)/unseen/$*.csv --model $(TABLES)/unseen/$* --limit 20)
